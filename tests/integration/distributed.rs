//! `flowlake plan`, `task` and `commit`: a build in steps that others run.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;

use fs_err as fs;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::support::{
    DEVICE_MAC, DumpText, Flow, OTHER_MAC, Program, ROUTER_MAC, World, catalogue, device, pack, tree,
};

/// Dumps of three devices: of several months, with rejected lines, and without a row that is kept.
fn world() -> World {
    let world = World::new();
    let devices = [
        device("hub", "iotGatewayHub", DEVICE_MAC),
        device("lamp", "lighting", OTHER_MAC),
        device("plug", "smartPlug", DEVICE_MAC),
    ];
    world.set_catalogue(&catalogue("[limits]\nmax_rejected_share = 0.5\n", &devices));
    let flow = |number: u64| {
        Flow::numbered(number).starting(&format!(
            "2019-{:02}-03 10:00:{:02}.123",
            7 + number % 3,
            number % 60
        ))
    };
    let hub = DumpText::of((0..400).map(flow)).line("not a flow");
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", hub.bytes()));
    let lamp = (0..30).map(|i| flow(i).between(OTHER_MAC, ROUTER_MAC));
    world.add_dump("lamp.json", DumpText::of(lamp).bytes());
    world.add_dump("plug.json", DumpText::of((0..5).map(|i| flow(i).between(OTHER_MAC, ROUTER_MAC))).bytes());
    world
}

impl World {
    fn plan(&self, lake: &str, more: &[&str]) -> Program {
        Program::new(["plan", "--config"])
            .arg(self.catalogue_path())
            .arg("--input")
            .arg(self.dumps())
            .arg("--output")
            .arg(self.path(lake))
            .arg("--output-plan")
            .arg(self.path("plan.json"))
            .args(more)
            .redact(self.root())
    }

    fn of_plan(&self, command: &str) -> Program {
        Program::new([command, "--plan"]).arg(self.path("plan.json")).redact(self.root())
    }

    fn task(&self, index: usize) -> Program {
        self.of_plan("task").args(["--progress", "none", "--jobs", "2", "--index", &index.to_string()])
    }

    fn tasks_left(&self) -> String {
        self.of_plan("task").arg("--missing").run().expect_code(0).stdout
    }

    /// The directory in which tasks leave what they make.
    fn workspace(&self) -> PathBuf {
        let entries = fs::read_dir(self.root()).expect("a directory");
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(|path| path.to_string_lossy().contains(".flowlake-plan-")).expect("a workspace")
    }

    fn planned(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("plan.json")).expect("a plan")).expect("JSON")
    }
}

#[test]
fn the_steps_give_the_bytes_of_a_build() {
    let world = world();
    for (number, recipe) in ["flows", "full", "encoded"].into_iter().enumerate() {
        let (built, committed) = (format!("built-{recipe}"), format!("committed-{recipe}"));
        let options = ["--recipe", recipe, "--from", "2019-07-03T10:00:05"];
        world.build_to(&built).args(options).run().expect_code(0);
        world.plan(&committed, &options).run().expect_code(0);
        // In any order.
        for index in [number % 3, (number + 1) % 3, (number + 2) % 3] {
            assert!(!world.path(&committed).exists());
            world.task(index).run().expect_code(0);
        }
        world.of_plan("commit").run().expect_code(0);
        assert_eq!(tree(&world.path(&committed)), tree(&world.path(&built)), "{recipe}");
        world.expect_no_staging();
    }
}

#[test]
fn a_plan_has_the_largest_dump_first_and_is_the_same_each_time() {
    let world = world();
    let outcome = world.plan("lake", &[]).run().expect_code(0);
    assert!(
        outcome
            .stdout
            .lines()
            .any(|line| line.trim_start().starts_with("tasks") && line.trim_end().ends_with('3'))
    );
    let first = fs::read(world.path("plan.json")).expect("a plan");
    let dumps: Vec<Value> =
        world.planned()["tasks"].as_array().expect("tasks").iter().map(|task| task["dump"].clone()).collect();
    assert_eq!(dumps, ["lamp", "hub", "plug"], "by the bytes that are read");
    world.plan("lake", &[]).run().expect_code(0);
    assert_eq!(fs::read(world.path("plan.json")).expect("a plan"), first);
    assert!(!world.path("lake").exists());
    world.expect_no_staging();
}

#[test]
fn a_task_may_be_run_again_and_at_the_same_time() {
    let world = world();
    world.build_to("built").run().expect_code(0);
    world.plan("lake", &[]).run().expect_code(0);
    assert_eq!(world.tasks_left(), "0\n1\n2\n");
    let index =
        world.planned()["tasks"].as_array().expect("tasks").iter().position(|task| task["dump"] == "hub");
    let index = index.expect("a task of the hub");
    let first = world.task(index).run().expect_code(0).stdout;
    insta::assert_snapshot!(first, @"task 1 of 3, dump hub, done: 401 rows read, 400 kept, 1 rejected, 3 files");
    let again = world.task(index).run().expect_code(0).stdout;
    assert_eq!(again, first.replace(", done: ", ", done before: "));
    thread::scope(|scope| {
        for _ in 0..2 {
            for index in [0, 2] {
                let world = &world;
                scope.spawn(move || world.task(index).run().expect_code(0));
            }
        }
    });
    assert_eq!(world.tasks_left(), "");
    world.of_plan("commit").run().expect_code(0);
    assert_eq!(tree(&world.path("lake")), tree(&world.path("built")));
    world.expect_no_staging();
}

#[test]
fn nothing_is_published_before_every_task_is_done() {
    let world = world();
    world.plan("lake", &[]).run().expect_code(0);
    world.task(1).run().expect_code(0);
    let refused = world.of_plan("commit").run().expect_code(3);
    insta::assert_snapshot!(refused.stderr, @r"
    error: 2 of 3 tasks are not done: 0, 2
    hint: run `flowlake task --plan PLAN --index N` for each; `flowlake task --plan PLAN --missing` lists them
    ");
    assert!(!world.path("lake").exists());
    assert_eq!(world.tasks_left(), "0\n2\n");
}

#[test]
fn a_task_whose_files_are_gone_or_damaged_is_done_again() {
    let world = world();
    world.build_to("built").run().expect_code(0);
    world.plan("lake", &[]).run().expect_code(0);
    let all = || (0..3).for_each(|index| drop(world.task(index).run().expect_code(0)));
    for damage in [
        |workspace: &std::path::Path| fs::write(workspace.join("fragments/000000.json.zst"), "damaged"),
        |workspace: &std::path::Path| {
            fs::remove_dir_all(workspace.join("lake/data/month=2019-07/deviceClass=lighting"))
        },
    ] {
        all();
        damage(&world.workspace()).expect("it is done");
        world.of_plan("commit").run().expect_code(3).expect_says(["1 of 3 tasks are not done: 0"]);
        assert_eq!(world.tasks_left(), "0\n");
    }
    all();
    world.of_plan("commit").run().expect_code(0);
    assert_eq!(tree(&world.path("lake")), tree(&world.path("built")));
    world.expect_no_staging();
}

#[test]
fn a_task_that_fails_is_told_and_leaves_nothing_that_counts() {
    let world = world();
    world.plan("lake", &[]).run().expect_code(0);
    // The largest dump is the first task.
    let lamp = world.dumps().join("lamp.json");
    let mut bytes = fs::read(&lamp).expect("a dump");
    bytes.truncate(bytes.len() / 2);
    fs::write(&lamp, bytes).expect("it is written");
    let failed = world.task(0).run().expect_code(3);
    failed.expect_says(["dump lamp", "it changed meanwhile"]);
    assert_eq!(world.tasks_left(), "0\n1\n2\n");
}

#[test]
fn a_lake_that_is_there_is_replaced_only_if_it_is_said() {
    let world = world();
    world.build_to("built").args(["--recipe", "full"]).run().expect_code(0);
    world.built();
    let before = tree(&world.path("lake"));
    world.plan("lake", &[]).run().expect_code(4).expect_says(["already holds a lake", "--replace"]);
    world.plan("lake", &["--replace", "--recipe", "full"]).run().expect_code(0);
    (0..3).for_each(|index| drop(world.task(index).run().expect_code(0)));
    assert_eq!(tree(&world.path("lake")), before, "tasks publish nothing");
    world.of_plan("commit").run().expect_code(0);
    assert_eq!(tree(&world.path("lake")), tree(&world.path("built")));
    world.expect_no_staging();
}

#[test]
fn the_second_of_two_commits_finds_a_lake() {
    let world = world();
    world.plan("lake", &[]).run().expect_code(0);
    (0..3).for_each(|index| drop(world.task(index).run().expect_code(0)));
    let codes: Vec<Option<i32>> = thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| world.of_plan("commit").run()));
        both.into_iter().map(|one| one.join().expect("it ends").code).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 4 | 5))), "{codes:?}");
    let again = world.of_plan("commit").run().expect_code(4);
    insta::assert_snapshot!(again.stderr, @r"
    error: a lake is at [dir]/lake already
    hint: if the plan was committed before, this is its lake; if not, `flowlake commit --abandon` takes away what its tasks made, and a plan with --replace builds over the lake
    ");
    // A task that comes late makes nothing that would stay.
    assert_eq!(world.task(0).run().expect_code(4).stderr, again.stderr);
    world.about_lake("verify").run().expect_code(0);
    world.expect_no_staging();
}

/// What a commit leaves in the workspace before the last step.
fn mark_of(manifest: &[u8], number: u64) -> String {
    let digest: String = Sha256::digest(manifest).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digest} {number}\n")
}

#[test]
fn a_commit_that_was_killed_after_it_published_is_finished_by_the_next_one() {
    for replace in [false, true] {
        let world = world();
        let options: &[&str] = if replace { &["--replace"] } else { &[] };
        if replace {
            world.build_to("lake").args(["--recipe", "full"]).run().expect_code(0);
        }
        world.plan("lake", options).run().expect_code(0);
        (0..3).for_each(|index| drop(world.task(index).run().expect_code(0)));
        let workspace = world.workspace();
        let old = if replace { tree(&world.path("lake")) } else { BTreeMap::new() };
        let fragments = tree(&workspace.join("fragments"));
        let summary = world.of_plan("commit").run().expect_code(0).stdout;
        let published = tree(&world.path("lake"));

        // As it is when the last step has been taken and nothing is tidied up: of two names that were exchanged, the workspace
        // has the old lake.
        let manifest = fs::read(world.path("lake/manifest.json")).expect("a manifest");
        let number = fs::metadata(world.path("lake")).expect("a lake").ino();
        let left = fragments.into_iter().map(|(path, bytes)| (format!("fragments/{path}"), bytes));
        let old = old.into_iter().map(|(path, bytes)| (format!("lake/{path}"), bytes));
        let mark = |number: u64| mark_of(&manifest, number);
        let files: Vec<_> = left.chain(old).filter(|(path, _)| !path.ends_with('/')).collect();
        let leave = |files: &[(String, Vec<u8>)]| {
            for (path, bytes) in files {
                let path = workspace.join(path);
                fs::create_dir_all(path.parent().expect("a parent")).expect("it is made");
                fs::write(path, bytes).expect("it is written");
            }
            fs::write(workspace.join("about-to-publish"), mark(number)).expect("it is written");
        };

        let without_time = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.contains("seconds")).map(str::to_owned).collect()
        };
        // Tidied up in part, too: what says that it is published goes last.
        for left in [&files[..], &files[..1], &[]] {
            fs::create_dir_all(&workspace).expect("it is made");
            leave(left);
            let again = world.of_plan("commit").run().expect_code(0).stdout;
            assert_eq!(without_time(&again), without_time(&summary));
            assert_eq!(tree(&world.path("lake")), published);
            world.expect_no_staging();
        }
        fs::create_dir(&workspace).expect("it is made");
        world.of_plan("commit").run().expect_code(if replace { 3 } else { 4 });
        assert_eq!(tree(&world.path("lake")), published);
        world.expect_no_staging();
    }
}

#[test]
fn a_commit_that_was_killed_before_it_published_is_not_taken_for_one_that_did() {
    let world = world();
    world.built();
    let intact = tree(&world.path("lake"));
    world.plan("lake", &["--replace"]).run().expect_code(0);
    (0..3).for_each(|index| drop(world.task(index).run().expect_code(0)));
    // The lake that is to be replaced has the same manifest, but somebody has damaged its files.
    let damaged = intact.keys().find(|path| path.ends_with(".parquet")).expect("a data file");
    fs::write(world.path("lake").join(damaged), "damaged").expect("it is written");
    let manifest = fs::read(world.path("lake/manifest.json")).expect("a manifest");
    let workspace = world.workspace();
    let number = fs::metadata(workspace.join("lake")).expect("a directory").ino();
    let mark = mark_of(&manifest, number);
    fs::write(workspace.join("about-to-publish"), mark).expect("it is written");
    fs::write(workspace.join("lake/manifest.json"), manifest).expect("it is written");
    world.of_plan("commit").run().expect_code(0);
    assert_eq!(tree(&world.path("lake")), intact);
    world.expect_no_staging();
}

#[test]
fn a_fragment_in_which_a_bit_has_changed_or_of_another_task_is_none() {
    let world = world();
    world.build_to("built").run().expect_code(0);
    world.plan("lake", &[]).run().expect_code(0);
    (0..3).for_each(|index| drop(world.task(index).run().expect_code(0)));
    let path = world.workspace().join("fragments/000001.json.zst");
    let intact = fs::read(&path).expect("a fragment");
    let mut damaged: Vec<Vec<u8>> = (0..intact.len() * 8)
        .step_by(intact.len() * 8 / 30)
        .map(|bit| {
            let mut bytes = intact.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        })
        .collect();
    damaged.push(fs::read(world.workspace().join("fragments/000000.json.zst")).expect("a fragment"));
    for bytes in damaged {
        fs::write(&path, bytes).expect("it is written");
        world.of_plan("commit").run().expect_code(3).expect_says(["1 of 3 tasks are not done: 1"]);
    }
    fs::write(&path, intact).expect("it is written");
    world.of_plan("commit").run().expect_code(0);
    assert_eq!(tree(&world.path("lake")), tree(&world.path("built")));
}

#[test]
fn a_strict_plan_is_refused_as_a_build_is() {
    let world = world();
    world.add_dump("stranger.json", DumpText::of([Flow::new()]).bytes());
    let built = world.build().arg("--strict").run().expect_code(3).stderr;
    let planned = world.plan("lake", &["--strict"]).run().expect_code(3).stderr;
    assert_eq!(planned, built);
    assert!(!world.path("plan.json").exists());
}

#[test]
fn a_commit_waits_for_nobody_and_harms_nobody() {
    let world = world();
    world.plan("lake", &[]).run().expect_code(0);
    (0..3).for_each(|index| drop(world.task(index).run().expect_code(0)));
    let lock = fs::File::create(world.path(".lake.flowlake-lock")).expect("it is made");
    lock.file().lock().expect("it is locked");
    for options in [&[][..], &["--abandon"]] {
        world
            .of_plan("commit")
            .args(options)
            .run()
            .expect_code(5)
            .expect_says(["is being written by another"]);
    }
    drop(lock);
    assert_eq!(world.tasks_left(), "");
    world.of_plan("commit").run().expect_code(0);
    world.expect_no_staging();
}

#[test]
fn a_plan_that_is_abandoned_leaves_nothing_and_touches_no_lake() {
    let world = world();
    world.build_to("lake").args(["--recipe", "full"]).run().expect_code(0);
    let before = tree(&world.path("lake"));
    world.plan("lake", &["--replace"]).run().expect_code(0);
    world.of_plan("commit").run().expect_code(3).expect_says(["3 of 3 tasks are not done"]);
    (0..2).for_each(|index| drop(world.task(index).run().expect_code(0)));
    for _ in 0..2 {
        world.of_plan("commit").arg("--abandon").run().expect_code(0);
        assert_eq!(world.tasks_left(), "0\n1\n2\n");
        assert_eq!(tree(&world.path("lake")), before);
        world.expect_no_staging();
    }
}

#[test]
fn a_plan_that_was_changed_or_is_of_another_version_is_refused() {
    let world = world();
    world.plan("lake", &[]).run().expect_code(0);
    let plan = world.planned();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut changed = plan.clone();
        change(&mut changed);
        fs::write(world.path("plan.json"), changed.to_string()).expect("it is written");
        world.task(0).run().expect_code(2).stderr
    };
    insta::assert_snapshot!(refused(&|plan| plan["tool"]["version"] = json!("0.0.9")), @r"
    error: [dir]/plan.json is of version 1, made by flowlake 0.0.9
    hint: this is 0.1.0, for plans of version 1: plan again, or run the tasks with the program that made it
    ");
    insta::assert_snapshot!(refused(&|plan| plan["recipe"]["text"] = json!("name = \"flows\"")), @r"
    error: the recipe of [dir]/plan.json was changed
    hint: plan again
    ");
    insta::assert_snapshot!(refused(&|plan| plan["tasks"][0]["mac"] = json!("other")), @r#"
    error: cannot read the plan [dir]/plan.json
    caused by: dump lamp: "other" is no MAC address
    "#);
    for name in ["../lamp.json", "/etc/hostname", ".."] {
        let said = refused(&|plan| plan["tasks"][0]["parts"][0]["name"] = json!(name));
        assert!(said.contains(&format!("dump lamp: \"{name}\" is no name of a file")), "{said}");
    }
    insta::assert_snapshot!(refused(&|plan| plan["planVersion"] = json!(2)), @r"
    error: [dir]/plan.json is of version 2, made by flowlake 0.1.0
    hint: this is 0.1.0, for plans of version 1: plan again, or run the tasks with the program that made it
    ");
    insta::assert_snapshot!(refused(&|plan| plan["more"] = json!(1)), @r"
    error: cannot read the plan [dir]/plan.json
    caused by: unknown field `more`, expected one of `planVersion`, `tool`, `input`, `output`, `replace`, `strict`, `selection`, `dataset`, `limits`, `catalogue`, `recipe`, `warnings`, `tasks` at line 1 column 869
    ");
    let mut changed = plan.clone();
    changed["catalogue"]["text"] = json!("");
    fs::write(world.path("plan.json"), changed.to_string()).expect("it is written");
    insta::assert_snapshot!(world.of_plan("commit").run().expect_code(2).stderr, @r"
    error: the catalogue of [dir]/plan.json was changed
    hint: plan again
    ");
    fs::write(world.path("plan.json"), plan.to_string()).expect("it is written");
    insta::assert_snapshot!(world.task(3).run().expect_code(2).stderr, @r"
    error: the plan has no task 3
    hint: tasks are 0 to 2
    ");
}
