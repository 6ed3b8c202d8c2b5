//! The memory limit: it is kept, and changes nothing else.

use fs_err as fs;

use super::support::{DumpText, Flow, World, skipped, tree, wait_for};

/// A long-running exporter whose clock is wrong: 120 months, and each flow lies in another one than the flow before.
fn alternating_months() -> DumpText {
    let mut dump = DumpText::default();
    for number in 0..60_000_u64 {
        let (year, month) = (2010 + number % 120 / 12, number % 12 + 1);
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
        assert_eq!(world.lake().files().len(), 120);

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
fn a_limit_that_cannot_be_kept_is_refused() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    let outcome = world.refused(2, &["--memory-limit", "100MB"]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: a memory limit of 95.4 MiB is too little for 2 threads, which need 160.0 MiB
    hint: raise --memory-limit, or lower --jobs
    ");
    world.refused(2, &["--memory-limit", "much"]).expect_says(["--memory-limit", "much"]);
}
