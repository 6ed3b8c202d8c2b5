//! Where the lake goes: what may be there, what is replaced, and what happens when the place cannot be written to.

use std::process::{Command, Output};

use fs_err as fs;

use super::support::{DumpText, Flow, Program, World, pack, skipped, tree};

fn world() -> World {
    World::with_hub(&DumpText::of([Flow::numbered(1)]))
}

#[test]
fn a_target_that_holds_a_lake_is_refused_without_replace() {
    let world = world();
    world.built();
    let before = tree(&world.path("lake"));
    let outcome = world.build().run().expect_code(4);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: [dir]/lake already holds a lake
    hint: give --replace to replace it, or another --output
    ");
    assert_eq!(tree(&world.path("lake")), before);
    world.expect_no_staging();
}

#[test]
fn with_replace_the_new_lake_takes_the_place_of_the_old_one() {
    let world = world();
    let old = world.built();
    assert_eq!(old.files().len(), 1);
    let flows =
        [Flow::new().starting("2020-01-01 00:00:00.000"), Flow::new().starting("2020-02-01 00:00:00.000")];
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", DumpText::of(flows).bytes()));
    world.build().arg("--replace").run().expect_code(0);
    let lake = world.lake();
    assert_eq!(lake.files().len(), 2);
    assert!(!lake.path("data/month=2019-07").exists(), "nothing of the old lake is left");
    world.expect_no_staging();
}

#[test]
fn replace_where_nothing_is_builds_all_the_same() {
    let world = world();
    world.build().arg("--replace").run().expect_code(0);
    world.lake();
}

#[test]
fn an_empty_directory_can_be_the_target_and_missing_parents_are_made() {
    let world = world();
    fs::create_dir(world.path("lake")).expect("a directory");
    world.built();
    world.build_to("a/b/c").run().expect_code(0);
    assert!(world.path("a/b/c/manifest.json").is_file());
}

#[test]
fn a_directory_that_is_no_lake_is_refused_with_and_without_replace() {
    let world = world();
    fs::create_dir(world.path("lake")).expect("a directory");
    fs::write(world.path("lake/thesis.tex"), "years of work").expect("it is written");
    let before = tree(&world.path("lake"));
    let outcome = world.build().run().expect_code(4);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: [dir]/lake is not empty and holds other things than a lake
    hint: give an --output that is empty or does not exist
    ");
    world.build().arg("--replace").run().expect_code(4);
    assert_eq!(tree(&world.path("lake")), before);
    world.expect_no_staging();
}

#[test]
fn a_directory_with_a_manifest_of_something_else_is_no_lake_and_not_replaced() {
    let world = world();
    fs::create_dir(world.path("lake")).expect("a directory");
    fs::write(world.path("lake/manifest.json"), "{\"name\": \"a web app\", \"icons\": []}")
        .expect("it is written");
    fs::write(world.path("lake/thesis.tex"), "years of work").expect("it is written");
    let before = tree(&world.path("lake"));
    world.build().arg("--replace").run().expect_code(4);
    assert_eq!(tree(&world.path("lake")), before);
    world.expect_no_staging();
}

#[test]
fn a_file_at_the_target_is_left_alone() {
    let world = world();
    fs::write(world.path("lake"), "not a directory").expect("it is written");
    for replace in [&[][..], &["--replace"]] {
        world.build().args(replace).run().expect_code(4).expect_says(["lake is not a directory"]);
    }
    assert_eq!(fs::read_to_string(world.path("lake")).expect("it is there"), "not a directory");
    world.expect_no_staging();
}

#[test]
fn a_target_below_a_file_cannot_be_written_to() {
    let world = world();
    fs::write(world.path("file"), "").expect("it is written");
    let outcome = world.build_to("file/lake").run().expect_code(4);
    insta::assert_snapshot!(outcome.stderr, @"error: [dir]/file is not a directory");
    let outcome = world.build_to("file/deeper/lake").run().expect_code(4);
    assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
    world.expect_no_staging();
}

#[test]
fn a_failed_build_takes_away_the_parents_it_made() {
    let world = World::with_hub(&DumpText::default().line("x").trailer());
    world.build_to("a/b/lake").run().expect_code(1);
    assert!(!world.path("a").exists());
}

#[test]
fn a_symbolic_link_to_a_lake_is_followed_and_stays_a_link() {
    let world = world();
    world.build_to("real").run().expect_code(0);
    fs::os::unix::fs::symlink(world.path("real"), world.path("lake")).expect("a link");
    world.build().run().expect_code(4).expect_says(["already holds a lake"]);
    world.build().arg("--replace").run().expect_code(0);
    assert!(fs::symlink_metadata(world.path("lake")).expect("it is there").is_symlink());
    world.about_lake("verify").run().expect_code(0);
    world.expect_no_staging();
}

#[test]
fn the_target_may_be_a_relative_path() {
    let world = world();
    let arguments = ["build", "--config", "catalogue.toml", "--input", "dumps", "--progress", "none"];
    Program::new(arguments).within(world.root()).run().expect_code(0);
    assert!(world.path("lake/manifest.json").is_file(), "`lake` is the default");
    Program::new([
        "build",
        "--config",
        "../catalogue.toml",
        "--input",
        ".",
        "--output",
        "../other",
        "--jobs",
        "1",
    ])
    .within(&world.dumps())
    .run()
    .expect_code(0);
    assert_eq!(tree(&world.path("other")), tree(&world.path("lake")));
}

/// Runs a shell script with mounts of its own, which end with it. It gives 125 when it cannot mount.
fn with_mounts(world: &World, script: &str) -> Option<Output> {
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .env("FLOWLAKE", env!("CARGO_BIN_EXE_flowlake"))
        .current_dir(world.root())
        .output();
    match output {
        Ok(output) if output.status.success() => Some(output),
        Ok(output) => {
            assert!(
                output.status.code() == Some(125) || !output.stderr.starts_with(b"+"),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            skipped("no right to mount here");
            None
        }
        Err(error) => {
            skipped(&format!("no `unshare`: {error}"));
            None
        }
    }
}

/// A directory `big/` of dumps whose lake takes megabytes, with their catalogue.
fn add_sample(world: &World) {
    let sample = ["sample", "--scale", "0.004", "--output"];
    Program::new(sample).arg(world.path("big")).run().expect_code(0);
}

#[test]
fn a_disk_that_is_full_mid_way_leaves_the_old_lake_and_no_staging() {
    let world = world();
    add_sample(&world);
    fs::create_dir(world.path("disk")).expect("a directory");
    let script = "
        mount -t tmpfs -o size=1m tmpfs disk || exit 125
        set -x
        $FLOWLAKE build --config catalogue.toml --input dumps --output disk/lake --progress none >log 2>&1 || exit 1
        (cd disk && find . | sort && find . -type f -exec sha256sum {} + | sort) >before
        $FLOWLAKE build --config big/catalogue.toml --input big --output disk/lake --replace --progress none >log 2>&1
        echo $? >code
        (cd disk && find . | sort && find . -type f -exec sha256sum {} + | sort) >after
        rm -r disk/lake
        $FLOWLAKE build --config big/catalogue.toml --input big --output disk/lake --progress none >fresh 2>&1
        echo $? >>code
        ls -A disk >left";
    if with_mounts(&world, script).is_none() {
        return;
    }
    let read = |name: &str| fs::read_to_string(world.path(name)).expect("the script wrote it");
    assert_eq!(read("code"), "4\n4\n", "{}", read("log"));
    assert!(read("log").starts_with("error: cannot write "), "{}", read("log"));
    assert!(read("log").contains("No space left on device"), "{}", read("log"));
    assert!(read("before").contains("manifest.json"), "{}", read("before"));
    assert_eq!(read("after"), read("before"));
    assert_eq!(read("left"), "", "nothing is left where nothing was");
}

#[test]
fn files_that_may_not_grow_any_further_leave_the_old_lake_and_no_staging() {
    let world = world();
    add_sample(&world);
    world.built();
    let before = tree(&world.path("lake"));
    // 8 blocks are 4 or 8 KiB, depending on the shell. The signal is ignored, as the error is what is to be seen.
    let script = "trap '' XFSZ; ulimit -f 8 || exit 125
        exec \"$FLOWLAKE\" build --config big/catalogue.toml --input big --output lake --replace --progress none";
    let output = Command::new("sh")
        .args(["-c", script])
        .env("FLOWLAKE", env!("CARGO_BIN_EXE_flowlake"))
        .current_dir(world.root())
        .output()
        .expect("a shell");
    if output.status.code() == Some(125) {
        return skipped("no `ulimit -f` here");
    }
    let outcome =
        world.build().outcome(&output).expect_code(4).expect_says(["error: cannot write ", "File too large"]);
    assert!(outcome.stderr.contains(".parquet"), "{}", outcome.stderr);
    assert_eq!(tree(&world.path("lake")), before);
    world.expect_no_staging();
}

#[test]
fn a_target_that_is_not_writable_is_named() {
    let world = world();
    fs::create_dir(world.path("disk")).expect("a directory");
    let script = "
        mount --bind disk disk && mount -o remount,ro,bind disk || exit 125
        set -x
        $FLOWLAKE build --config catalogue.toml --input dumps --output disk/lake --progress none >log 2>&1
        echo $? >code
        $FLOWLAKE build --config catalogue.toml --input dumps --output disk/a/b/lake --progress none >deeper 2>&1
        echo $? >>code
        ls -A disk >left";
    if with_mounts(&world, script).is_none() {
        return;
    }
    let read = |name: &str| fs::read_to_string(world.path(name)).expect("the script wrote it");
    assert_eq!(read("code"), "4\n4\n", "{}", read("log"));
    assert!(read("log").starts_with("error: cannot create the lock file "), "{}", read("log"));
    assert!(read("log").contains("Read-only file system"), "{}", read("log"));
    assert!(read("deeper").contains("Read-only file system"), "{}", read("deeper"));
    assert_eq!(read("left"), "");
}

#[test]
fn a_directory_without_permission_to_write_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let world = world();
    let place = world.path("place");
    fs::create_dir(&place).expect("a directory");
    let set = |mode| fs::set_permissions(&place, PermissionsExt::from_mode(mode)).expect("it is ours");
    set(0o555);
    if fs::write(place.join("probe"), "").is_ok() {
        return skipped("permissions do not bind this user");
    }
    let outcome = world.build_to("place/lake").run().expect_code(4).expect_says(["Permission denied"]);
    assert!(
        outcome.stderr.starts_with("error: cannot create the staging directory [dir]/place/"),
        "{}",
        outcome.stderr
    );
    assert_eq!(tree(&place).len(), 0);
    set(0o755);
}

#[test]
fn a_mount_point_as_the_target_is_refused_before_anything_is_read() {
    let world = world();
    fs::create_dir(world.path("disk")).expect("a directory");
    let script = "
        mount -t tmpfs -o size=8m tmpfs disk || exit 125
        set -x
        $FLOWLAKE build --config catalogue.toml --input dumps --output disk --progress none >log 2>&1
        echo $? >code
        ls -A . disk >left";
    if with_mounts(&world, script).is_none() {
        return;
    }
    let read = |name: &str| fs::read_to_string(world.path(name)).expect("the script wrote it");
    assert_eq!(read("code"), "4\n");
    assert!(read("log").contains("is a mount point"), "{}", read("log"));
    assert!(read("log").contains("hint: give a directory below it"), "{}", read("log"));
    assert!(!read("left").contains("staging"), "{}", read("left"));
}

#[test]
fn a_lake_with_files_of_somebody_else_in_it_is_not_replaced() {
    for name in [
        "notes.txt",
        "data/notes.txt",
        "data/month=2019-07/deviceClass=iotGatewayHub/mine.parquet",
        ".git",
        "rejected/mine.ndjson",
    ] {
        let world = world();
        world.built();
        fs::create_dir_all(world.path("lake/rejected")).expect("a directory");
        fs::write(world.path("lake").join(name), "years of work").expect("it is written");
        let before = tree(&world.path("lake"));
        world.build().arg("--replace").run().expect_code(4).expect_says(["holds other things than a lake"]);
        assert_eq!(tree(&world.path("lake")), before);
        world.expect_no_staging();
    }
}

#[test]
fn a_lake_that_lost_a_file_can_be_replaced() {
    let world = world();
    let lake = world.built();
    fs::remove_file(lake.path(&lake.files()[0])).expect("it goes");
    world.build().arg("--replace").run().expect_code(0);
    world.lake();
}
