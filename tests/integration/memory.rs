//! The memory limit: it is kept, and changes nothing else.

use std::process::Command;

use fs_err as fs;

use super::support::{DumpText, Flow, World, skipped, tree, wait_for};

/// A long-running exporter whose clock is wrong: 240 months, and each flow lies in another one than the flow before.
fn alternating_months() -> DumpText {
    let mut dump = DumpText::default();
    for number in 0..60_000_u64 {
        let (year, month) = (2000 + number % 240 / 12, number % 12 + 1);
        let start =
            format!("{year}-{month:02}-{:02} {:02}:00:00.{:03}", number % 28 + 1, number % 24, number % 999);
        dump = dump.flow(&Flow::numbered(number).starting(&start));
    }
    dump.trailer()
}

/// The most memory that a process has had so far, in MiB.
fn peak_mib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}

#[test]
fn many_months_at_once_stay_within_the_limit_and_give_the_same_bytes() {
    let world = World::new();
    world.add_dump("hub.json", alternating_months().bytes());
    // Telling duplicates takes 16 MiB more.
    for (recipe, limit) in [("flows", 104), ("encoded", 120)] {
        let build = |lake: &str| world.build_to(lake).args(["--recipe", recipe, "--replace"]);
        build("lake").args(["--memory-limit", "2GiB"]).run().expect_code(0);
        let expected = tree(&world.path("lake"));
        assert_eq!(world.lake().files().len(), 240);

        let limited = build("limited").with("--jobs", "1").args(["--memory-limit", &format!("{limit}MiB")]);
        let mut child = limited.start();
        let (process, mut peak) = (child.id(), None);
        wait_for(&mut child, || {
            peak = peak_mib(process).or(peak);
            false
        });
        assert!(child.wait().expect("it ends").success());
        assert!(tree(&world.path("limited")) == expected, "{recipe}: the limit changes bytes");
        match peak {
            Some(peak) => assert!((1..=limit).contains(&peak), "{recipe}: {peak} MiB"),
            None => skipped("no /proc to read the memory of a process from"),
        }
        assert!(world.staging().is_empty(), "something is left of what waited on disk");
    }
}

#[test]
fn many_months_need_few_open_files() {
    let world = World::new();
    world.add_dump("hub.json", alternating_months().bytes());
    let limited = world.build_to("lake").args(["--memory-limit", "160MiB"]).command();
    let outcome = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(limited.get_program())
        .args(limited.get_args())
        .output()
        .expect("a shell");
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    assert_eq!(world.lake().files().len(), 240);
}

#[test]
fn too_few_open_files_are_told_before_anything_is_touched() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    let limited = |files: u32| {
        let command = world.build_to("above/lake").command();
        let limit = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &limit]).arg(command.get_program()).args(command.get_args());
        let outcome = shell.output().expect("a shell");
        (outcome.status.code(), String::from_utf8(outcome.stderr).expect("text"))
    };
    let (code, told) = limited(8);
    insta::assert_snapshot!(told, @r"
    error: no more than 8 files may be open at a time, and 32 may be needed
    hint: raise the limit, as with `ulimit -n 32`
    ");
    assert_eq!(code, Some(2));
    let (code, told) = limited(47);
    insta::assert_snapshot!(told, @r"
    error: no more than 47 files may be open at a time, and 48 may be needed
    hint: raise the limit, as with `ulimit -n 48`, or give fewer --jobs
    ");
    assert_eq!(code, Some(2));
    assert!(!world.path("above").exists());
    // As few as are said to be enough are.
    let (code, told) = limited(48);
    assert_eq!((code, told.as_str()), (Some(0), ""));
}

#[test]
fn a_limit_that_cannot_be_kept_is_refused() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    let outcome = world.refused(2, &["--memory-limit", "100MB"]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: a memory limit of 95.4 MiB is too little for 2 threads, which need 160.0 MiB
    hint: raise --memory-limit, or lower --jobs
    ");
    world.refused(2, &["--memory-limit", "much"]).expect_says(["--memory-limit", "much"]);
}
