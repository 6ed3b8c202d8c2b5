//! A release is made again from the dumps: by its own page, and by `verify --rebuild-from`.

use std::process::Stdio;

use fs_err as fs;
use serde_json::Value;

use super::{manifest, release, run, script, world};
use crate::integration::support::{
    DEVICE_MAC, DumpText, Flow, OTHER_MAC, Program, ROUTER_MAC, World, catalogue, device, pack, tree,
    wait_for,
};

/// Runs the blocks of the page of `release/` in `work/`: that makes the release again.
#[track_caller]
fn rebuilt_by_its_page(world: &World) {
    let page = fs::read_to_string(world.path("release/rebuild.md")).expect("a page");
    fs::create_dir(world.path("work")).expect("a directory");
    run(&world.path("work"), "sh", &["-c", &script(&page)]).expect_code(0);
    assert!(tree(&world.path("work/rebuilt")) == tree(&world.path("release")), "it has other bytes");
}

#[test]
fn a_release_is_rebuilt_and_compared_in_one_step() {
    let world = world();
    world
        .build()
        .args(["--device", "lamp", "--from", "2019-07", "--to", "2019-08", "--replace"])
        .run()
        .expect_code(0);
    release(&world, "1.0.0", "release").args(["--date", "2026-11-22"]).run().expect_code(0);
    let rebuild = |options: &[&str]| {
        let verify = Program::new(["verify", "--rebuild-from"]).arg(world.dumps()).redact(world.root());
        verify.arg(world.path("release")).args(options).run()
    };
    let outcome = rebuild(&[]).expect_code(0);
    assert!(
        outcome.stdout.ends_with("\nrebuilt from [dir]/dumps: every file has the same bytes\n"),
        "{}",
        outcome.stdout
    );
    let report: Value = serde_json::from_str(&rebuild(&["--json"]).expect_code(0).stdout).expect("JSON");
    assert_eq!(report["rebuild"]["verdict"], "same");
    world.about_lake("verify").arg("--rebuild-from").arg(world.dumps()).run().expect_code(0);

    // A dump with one more flow is another dump.
    let lamp = DumpText::of((0..301).map(|i| Flow::numbered(i).between(OTHER_MAC, ROUTER_MAC)));
    world.add_dump("lamp.tar.gz", &pack::tar_gz("lamp", lamp.bytes()));
    let outcome = rebuild(&[]).expect_code(1);
    assert!(
        outcome.stdout.contains("it is not the same. A is what was there, B what was rebuilt:"),
        "{}",
        outcome.stdout
    );
    let report: Value = serde_json::from_str(&rebuild(&["--json"]).expect_code(1).stdout).expect("JSON");
    assert_eq!(report["rebuild"]["verdict"], "different");
    assert_eq!(report["differences"], Value::Array(vec![]));

    // What is damaged is not rebuilt first.
    fs::write(world.path("release/stray"), "").expect("it is written");
    let outcome = rebuild(&[]).expect_code(1);
    assert!(
        outcome.stdout.ends_with("\nnot rebuilt: it is not what its own manifest says\n"),
        "{}",
        outcome.stdout
    );
}

/// Everything that the shell or Markdown could take for something else.
#[test]
fn a_page_for_rebuilding_keeps_odd_configurations_as_they_are() {
    let world = World::new();
    // TOML takes a text of several lines, and they may be anything.
    let odd =
        "description = '''\n```\n````sh\nEND-OF-FILE\n$HOME `id` \\ \"é\" %s\r\n'''\nredistribution = true\n";
    let text = catalogue("", &[device("hub", "iotGatewayHub", DEVICE_MAC)]).replacen(
        "\n\n",
        &format!("\n{odd}\n"),
        1,
    );
    world.set_catalogue(&format!("{text}# no line end"));
    let dump = DumpText::of([Flow::new()]);
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", dump.bytes()));
    world.built();
    release(&world, "1.0.0", "release").run().expect_code(0);
    rebuilt_by_its_page(&world);
}

/// A title is a text like any other, and no place for commands.
#[test]
fn what_a_catalogue_says_ends_no_block_and_begins_none() {
    let world = world();
    let text = fs::read_to_string(world.catalogue_path()).expect("it is there");
    let title = "title = \"A\\n\\n```sh\\ntouch INJECTED\\n```\\n\"\ndescription = \"```\\n# No heading\"";
    let text =
        text.replace("title = \"Flows of a test\"", title).replace("CC0-1.0", "one\\n## two\\n```\\nthree");
    world.set_catalogue(&text);
    world.build().arg("--replace").run().expect_code(0);
    release(&world, "1.0.0", "release").run().expect_code(0);
    rebuilt_by_its_page(&world);
    assert!(!world.path("work/INJECTED").exists());
    let card = fs::read_to_string(world.path("release/README.md")).expect("a card");
    assert!(
        card.starts_with("# A ```sh touch INJECTED ```, version 1.0.0\n\n> ```\n> # No heading\n\n"),
        "{card}"
    );
    assert!(card.contains("\n````text\none\n## two\n```\nthree\n````\n"), "{card}");
}

#[test]
fn a_release_without_rows_is_rebuilt_like_any_other() {
    let world = world();
    world.build().args(["--from", "2030-01", "--replace"]).run().expect_code(0);
    release(&world, "1.0.0", "release").run().expect_code(0);
    rebuilt_by_its_page(&world);
}

/// Another version may encode rows otherwise; the licence it may not change.
#[test]
fn another_version_excuses_no_other_licence() {
    let world = world();
    release(&world, "1.0.0", "release").run().expect_code(0);
    let root = world.path("release");
    let mut manifest = manifest(&root);
    manifest["release"]["tool"]["version"] = "0.0.9".into();
    let change = |manifest: &mut Value, path: &str| {
        fs::write(root.join(path), "forged\n").expect("it is written");
        let documents = manifest["release"]["documents"].as_array_mut().expect("a list");
        let entry = documents.iter_mut().find(|entry| entry["path"] == path).expect("it is listed");
        entry["bytes"] = 7.into();
        let sum = run(&root, "sha256sum", &[path]).stdout;
        entry["sha256"] = sum.split(' ').next().expect("a digest").into();
    };
    let finish = |manifest: &Value| {
        fs::write(root.join("manifest.json"), manifest.to_string()).expect("it is written");
        let script = "find . -type f ! -name SHA256SUMS -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum > ../x; mv ../x SHA256SUMS";
        run(&root, "sh", &["-c", script]).expect_code(0);
        Program::new(["verify"]).arg(&root).run().expect_code(0);
        Program::new(["verify", "--rebuild-from"]).arg(world.dumps()).arg(&root).run()
    };
    change(&mut manifest, "README.md");
    let told = finish(&manifest).expect_code(0).stdout;
    assert!(told.ends_with("README.md: not as this version of flowlake writes it\n"), "{told}");
    change(&mut manifest, "LICENSE");
    finish(&manifest).expect_code(1);
}

#[test]
fn what_is_rebuilt_is_nobody_elses_to_read() {
    let world = world();
    let scratch = world.path("scratch");
    fs::create_dir(&scratch).expect("a directory");
    // One that died has left its lake there.
    fs::create_dir(scratch.join(".flowlake-rebuild.flowlake-staging-1")).expect("a directory");
    let mut command =
        Program::new(["verify", "--rebuild-from"]).arg(world.dumps()).arg(world.path("lake")).command();
    let mut child =
        command.env("TMPDIR", &scratch).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let mut modes = Vec::new();
    wait_for(&mut child, || {
        for entry in fs::read_dir(&scratch).expect("a directory").flatten() {
            if let Ok(metadata) = entry.metadata()
                && fs::read_dir(entry.path()).is_ok_and(|mut entries| entries.next().is_some())
            {
                modes.push(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777);
            }
        }
        false
    });
    assert!(child.wait().expect("it ends").success());
    assert!(!modes.is_empty() && modes.iter().all(|mode| *mode == 0o700), "{modes:?}");
    assert_eq!(fs::read_dir(&scratch).expect("a directory").count(), 0);
}
