//! The command line itself: its help, its exit codes, its manners.

use std::process::{Command, Stdio};

use fs_err as fs;

use super::support::{DumpText, Flow, Program, World, skipped};

fn help(arguments: &[&str]) -> String {
    Program::new(arguments.iter().copied())
        .run()
        .expect_code(0)
        .stdout
}

#[test]
fn the_help_of_the_program_names_commands_and_exit_codes() {
    insta::assert_snapshot!(help(&["--help"]), @"");
}

#[test]
fn the_help_of_build() {
    insta::assert_snapshot!(help(&["build", "--help"]), @"");
}

#[test]
fn the_help_of_sample_and_demo() {
    insta::assert_snapshot!(help(&["sample", "--help"]), @"");
    insta::assert_snapshot!(help(&["demo", "--help"]), @"");
}

#[test]
fn the_help_of_inspect_and_verify() {
    insta::assert_snapshot!(help(&["inspect", "--help"]), @"");
    insta::assert_snapshot!(help(&["verify", "--help"]), @"");
}

#[test]
fn the_help_of_completions_and_man() {
    insta::assert_snapshot!(help(&["completions", "--help"]), @"");
    insta::assert_snapshot!(help(&["man", "--help"]), @"");
}

#[test]
fn help_comes_in_every_spelling() {
    let full = help(&["--help"]);
    assert_eq!(help(&["help"]), full);
    assert!(!help(&["-h"]).is_empty());
    assert_eq!(help(&["help", "build"]), help(&["build", "--help"]));
    assert_eq!(
        help(&["--version"]),
        concat!("flowlake ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn wrong_usage_is_exit_code_2_with_a_message_on_standard_error() {
    let cases: [&[&str]; 13] = [
        &[],
        &["bulid"],
        &["build"],
        &["build", "--config", "x"],
        &["build", "--config", "x", "--input", "y", "--colour"],
        &["build", "--config", "x", "--input", "y", "--jobs", "0"],
        &["build", "--config", "x", "--input", "y", "--jobs", "many"],
        &["build", "--config", "x", "--input", "y", "--progress", "loud"],
        &["sample"],
        &["sample", "--output", "x", "--scale", "0"],
        &["sample", "--output", "x", "--scale", "NaN"],
        &["sample", "--output", "x", "--seed", "-1"],
        &["completions", "cmd"],
    ];
    let world = World::new();
    for arguments in cases {
        let outcome = Program::new(arguments.iter().copied())
            .within(world.root())
            .run()
            .expect_code(2);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        assert!(!outcome.stderr.is_empty(), "{arguments:?}");
    }
    assert!(!world.path("x").exists());
}

#[test]
fn results_go_to_standard_output_and_all_else_to_standard_error() {
    let world = World::with_hub(&DumpText::default().flow(&Flow::new()));
    let outcome = world.build().args(["--progress", "plain"]).run().expect_code(0);
    assert!(outcome.stdout.contains("rows kept"), "{}", outcome.stdout);
    assert!(
        !outcome.stdout.contains("warning"),
        "{}",
        outcome.stdout.replace("warnings", "")
    );
    assert!(
        outcome.stderr.contains("warning: dump hub has no trailer"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome
            .stderr
            .contains("[1/1] hub: 1 flows read, 1 kept, 0 rejected"),
        "{}",
        outcome.stderr
    );
    let quiet = World::with_hub(&DumpText::of([Flow::new()]))
        .build()
        .run()
        .expect_code(0);
    assert_eq!(quiet.stderr, "", "nothing to say, and no progress asked for");
}

#[test]
fn progress_off_a_terminal_is_plain_lines() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    for mode in ["auto", "plain"] {
        let outcome = world
            .build()
            .args(["--replace", "--progress", mode])
            .run()
            .expect_code(0);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        assert!(
            !outcome.stderr.contains('\u{1b}') && !outcome.stderr.contains('\r'),
            "{:?}",
            outcome.stderr
        );
    }
}

/// Runs with a standard output that nobody reads.
fn without_reader(program: &Program) -> Option<i32> {
    let mut child = program.start();
    drop(child.stdout.take());
    child.wait_with_output().expect("it ends").status.code()
}

#[test]
fn a_reader_that_stops_listening_is_no_failure() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.built();
    let programs = [
        world.about_lake("inspect"),
        world.about_lake("inspect").arg("--json"),
        world.about_lake("verify"),
        world.about_lake("verify").arg("--json"),
        world.build().arg("--replace"),
        Program::new(["--help"]),
        Program::new(["--version"]),
        Program::new(["completions", "zsh"]),
        Program::new(["sample", "--scale", "0.000001", "--output"]).arg(world.path("sample")),
        Program::new(["demo", "--output"]).arg(world.path("demo")),
    ];
    for program in programs {
        assert_eq!(without_reader(&program), Some(0), "{program:?}");
    }
    world.lake();
}

#[test]
fn a_build_whose_reader_stops_listening_publishes_all_the_same() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    assert_eq!(without_reader(&world.build()), Some(0));
    world.lake();
}

#[test]
fn a_verification_whose_reader_stops_listening_does_not_hide_differences() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.built();
    fs::remove_dir_all(world.path("lake/data")).expect("it goes");
    assert_eq!(
        without_reader(&world.about_lake("verify").arg("--quick")),
        Some(1)
    );
}

#[test]
fn a_full_standard_output_is_a_failure() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        return skipped("no /dev/full here");
    };
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.built();
    let program = world.about_lake("inspect");
    let output = program
        .command()
        .stdout(full.into_file())
        .stderr(Stdio::piped())
        .output()
        .expect("the binary runs");
    program
        .outcome(&output)
        .expect_code(4)
        .expect_says(["No space left on device"]);
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = help(&["completions", shell]);
        for word in ["build", "sample", "demo", "inspect", "verify", "--replace"] {
            let word = if shell == "fish" {
                word.trim_start_matches("--")
            } else {
                word
            };
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
}

#[test]
fn the_completion_script_of_bash_is_one() {
    let world = World::new();
    fs::write(world.path("flowlake.bash"), help(&["completions", "bash"])).expect("it is written");
    match Command::new("bash")
        .arg("-n")
        .arg(world.path("flowlake.bash"))
        .output()
    {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => skipped(&format!("no bash: {error}")),
    }
}

#[test]
fn man_writes_a_page_a_command() {
    let world = World::new();
    let run = || {
        Program::new(["man", "--output"])
            .arg(world.path("man"))
            .run()
            .expect_code(0)
    };
    run();
    let mut names: Vec<String> = super::support::tree(&world.path("man")).into_keys().collect();
    names.sort_unstable();
    insta::assert_snapshot!(names.join("\n"), @"");
    let page = fs::read_to_string(world.path("man/flowlake-build.1")).expect("a page");
    assert!(page.starts_with(".ie") || page.contains(".TH flowlake"), "{page}");
    assert!(page.contains("max") || page.contains("\\-\\-replace"), "{page}");
    run();
}

#[test]
fn man_pages_that_cannot_be_written_are_a_failure_of_the_output() {
    let world = World::new();
    fs::write(world.path("file"), "").expect("it is written");
    Program::new(["man", "--output"])
        .arg(world.path("file/man"))
        .run()
        .expect_code(4);
}
