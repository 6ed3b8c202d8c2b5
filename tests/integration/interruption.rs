//! Ctrl-C and termination: the build stops, nothing is published, staging is gone. And two builds at one target.

use std::process::{Child, Command};

use fs_err as fs;

use super::support::{DumpText, Flow, Outcome, Program, World, pack, tree, wait_for};

/// A dump of `thousands` × 1000 flows in a file of as many gzip members: quick to write, slow to read.
fn world_of(thousands: usize) -> World {
    let world = World::new();
    let member = pack::gzip(
        (0..1000).map(Flow::numbered).fold(DumpText::default(), |dump, flow| dump.flow(&flow)).bytes(),
    );
    world.add_dump("hub.json.gz", &member.repeat(thousands));
    world
}

/// Longer than any machine takes to notice a signal.
fn endless() -> World {
    world_of(4000)
}

/// Whether a file of the lake in the making is there.
fn has_begun(world: &World) -> bool {
    let staging = world.staging();
    staging.iter().any(|name| {
        let files = fs::read_dir(world.path(name)).map(|entries| entries.count()).unwrap_or_default();
        files > 0
    })
}

fn send(signal: &str, child: &Child) {
    let script = format!("kill -{signal} {}", child.id());
    let status = Command::new("sh").args(["-c", &script]).status().expect("a shell");
    assert!(status.success());
}

/// Starts a build, sends the signal once it writes, and gives its end.
#[track_caller]
fn interrupt(program: &Program, world: &World, signal: &str) -> Outcome {
    let mut child = program.start();
    assert!(wait_for(&mut child, || has_begun(world)), "it was over before it began");
    send(signal, &child);
    let output = child.wait_with_output().expect("it ends");
    program.outcome(&output)
}

#[test]
fn ctrl_c_stops_a_build_and_leaves_nothing() {
    let world = endless();
    let outcome = interrupt(&world.build(), &world, "INT").expect_code(130);
    insta::assert_snapshot!(outcome.stderr, @"error: interrupted; nothing was published");
    assert_eq!(outcome.stdout, "");
    world.expect_nothing_published();
}

#[test]
fn a_request_to_terminate_stops_a_build_and_leaves_nothing() {
    let world = endless();
    interrupt(&world.build(), &world, "TERM")
        .expect_code(130)
        .expect_says(["interrupted; nothing was published"]);
    world.expect_nothing_published();
}

#[test]
fn a_build_of_one_thread_stops_too() {
    let world = endless();
    interrupt(&world.build().with("--jobs", "1"), &world, "INT").expect_code(130);
    world.expect_nothing_published();
}

#[test]
fn an_interrupted_build_leaves_the_old_lake_and_the_next_one_replaces_it() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.built();
    let before = tree(&world.path("lake"));
    fs::remove_file(world.dumps().join("hub.tar.gz")).expect("it goes");
    fs::rename(endless().dumps().join("hub.json.gz"), world.dumps().join("hub.json.gz")).expect("it moves");
    interrupt(&world.build().arg("--replace"), &world, "INT").expect_code(130);
    assert_eq!(tree(&world.path("lake")), before);
    world.expect_no_staging();
}

#[test]
fn what_a_killed_build_left_behind_is_removed_by_the_next_one() {
    let world = endless();
    let outcome = interrupt(&world.build(), &world, "KILL");
    assert_eq!(outcome.code, None);
    assert!(!world.path("lake").exists());
    assert_eq!(world.staging().len(), 1, "nobody could clear up");
    fs::remove_file(world.dumps().join("hub.json.gz")).expect("it goes");
    world.add_dump("hub.json", DumpText::of([Flow::new()]).bytes());
    world.built();
    world.expect_no_staging();
}

#[test]
fn a_second_build_of_the_same_lake_is_told_who_is_at_work() {
    let world = endless();
    let slow = world.build();
    let mut child = slow.start();
    assert!(wait_for(&mut child, || has_begun(&world)), "it was over before it began");
    let staging = world.staging();
    let told = |second: &Program| {
        let told = second.run().expect_code(5).stderr;
        let told = told.replace(&format!("process {} on ", child.id()), "process PID on ");
        let host = told.split_once(" on ").and_then(|(_, rest)| rest.lines().next()).expect("a host");
        told.replace(host, "HOST")
    };
    insta::assert_snapshot!(told(&world.build()), @r"
    error: [dir]/lake is being written by another flowlake: process PID on HOST
    hint: wait until it has ended, or give another --output
    ");
    assert_eq!(told(&world.build().arg("--replace")), told(&world.build()));
    assert_eq!(world.staging(), staging, "the first build goes on");
    send("INT", &child);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(!world.path("lake").exists());
    world.expect_no_staging();
}

#[test]
fn a_lake_that_appears_while_another_is_built_wins_and_the_other_build_says_so() {
    let quick = World::with_hub(&DumpText::of([Flow::new()]));
    quick.built();
    let world = world_of(300);
    let slow = world.build();
    let mut child = slow.start();
    assert!(wait_for(&mut child, || !world.staging().is_empty()), "it was over before it began");
    fs::rename(quick.path("lake"), world.path("lake")).expect("it moves");
    let before = tree(&world.path("lake"));
    let output = child.wait_with_output().expect("it ends");
    let outcome = slow.outcome(&output).expect_code(5);
    insta::assert_snapshot!(outcome.stderr, @r"
    warning: dump hub has no trailer with control totals: it may be cut off
    error: [dir]/lake was written by somebody else meanwhile
    hint: look at what is there; --replace builds over it
    ");
    assert_eq!(tree(&world.path("lake")), before);
    world.expect_no_staging();
}

#[test]
fn files_that_appear_at_the_target_while_a_lake_is_built_are_left_alone() {
    let world = world_of(300);
    let slow = world.build().arg("--replace");
    let mut child = slow.start();
    assert!(wait_for(&mut child, || !world.staging().is_empty()), "it was over before it began");
    fs::create_dir(world.path("lake")).expect("a directory");
    fs::write(world.path("lake/thesis.tex"), "years of work").expect("it is written");
    let output = child.wait_with_output().expect("it ends");
    slow.outcome(&output).expect_code(5);
    assert_eq!(fs::read_to_string(world.path("lake/thesis.tex")).expect("it is there"), "years of work");
    world.expect_no_staging();
}
