//! The command line itself: its help, its exit codes, its manners.

use std::process::{Command, Stdio};

use fs_err as fs;

use super::support::{DumpText, Flow, Program, World, skipped};

/// What a command prints.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    Program::new(arguments.iter().copied()).run().expect_code(0).stdout
}

/// A help text, without the spaces clap leaves at line ends.
#[track_caller]
fn help(arguments: &[&str]) -> String {
    let text = printed(arguments);
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn the_help_of_the_program_names_commands_and_exit_codes() {
    insta::assert_snapshot!(help(&["--help"]), @r"
    Turns raw IPFIX flow dumps into a Parquet lake partitioned by month and device class, with a
    manifest that accounts for every row

    Usage: flowlake <COMMAND>

    Commands:
      build        Build a lake from dumps
      plan         Plan a build whose tasks run on many machines
      task         Run one task of a plan
      commit       Make what the tasks of a plan made a lake
      sample       Write synthetic dumps in the real format
      demo         Sample dumps, build, verify, ask a first query: needs no input
      inspect      Show what a lake holds and how it was made
      verify       Check every file of a lake against its manifest
      release      Freeze a lake under a version: documents, digests, never overwritten
      diff         Tell what changed between two lakes
      export       Write rows as CSV, NDJSON or Arrow, one file a device and month
      query        Ask a lake something in SQL
      head         Show the first rows of a lake
      files        List the data files of a lake, for other engines
      sql          Print code that makes a view of a lake in another engine
      recipe       List, print and explain recipes
      completions  Print a shell completion script
      man          Write man pages
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Exit codes:
      0    success; a reader that stops listening (broken pipe) is success too
      1    verify or diff found differences, or a dump has more rejected lines than allowed
      2    wrong usage or configuration
      3    the input cannot be read
      4    the output cannot be written
      5    another build was faster: commit conflict; or a release is there already
      101  a defect of flowlake itself
      130  interrupted

    Start with `flowlake demo`.
    ");
}

#[test]
fn the_help_of_build() {
    insta::assert_snapshot!(help(&["build", "--help"]), @r"
    Build a lake from dumps

    Usage: flowlake build [OPTIONS] --config <FILE> --input <DIR|URL>

    Options:
          --config <FILE>
              Catalogue of devices: a TOML file, or the name of a built-in one (kddi-iot-2019)

          --input <DIR|URL>
              Directory with the dumps: <stem>.tar.gz, split parts <stem>.tar.gz00…, .json, .json.gz,
              .json.zst; or their prefix in an object store: s3://BUCKET/PREFIX, gs://…, az://…

          --output <DIR|URL>
              Directory or URL the lake appears in, all at once

              [default: lake]

          --recipe <NAME|FILE>
              What the lake holds: a TOML file, or the name of a built-in recipe (flows, encoded, full)

              [default: flows]

          --device <NAME>
              Build only this device; may be given several times

          --class <CLASS>
              Build only devices of this class; may be given several times

          --from <TIME>
              Keep only flows that started at this time or later, UTC: 2019-07, 2019-07-01 or
              2019-07-01T12:30:00

          --to <TIME>
              Keep only flows that started before this time, UTC

          --replace
              Replace the lake that is there

          --strict
              Treat warnings about the input as errors: trailers missing or not matching, dumps without
              a device, devices without a dump

          --jobs <N>
              Number of threads [default: one a core]

          --memory-limit <SIZE>
              Memory to keep within, as 512MiB or 2GB [default: 48 MiB and 64 MiB a thread]

              16 MiB a thread more with a recipe that removes duplicates. Bounds the memory of the whole
              process, on any input. Rows that wait for others of their month and do not fit wait in
              temporary files beside the lake; what is built is the same, byte for byte.

          --dry-run
              Only show what would be read and written

          --progress <PROGRESS>
              How to show progress

              Possible values:
              - auto:  Bars on a terminal, lines otherwise
              - plain: A line a dump
              - none:  Nothing

              [default: auto]

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      flowlake build --config kddi-iot-2019 --input dumps/ --output lake/
      flowlake build --config my.toml --input dumps/ --device kitchenHub --replace
      flowlake build --config my.toml --input dumps/ --recipe encoded --from 2019-07 --to 2019-08
      flowlake build --config my.toml --input s3://bucket/raw --output s3://bucket/lake --dry-run
    ");
}

#[test]
fn the_help_of_sample_and_demo() {
    insta::assert_snapshot!(help(&["sample", "--help"]), @r"
    Write synthetic dumps in the real format

    Usage: flowlake sample [OPTIONS] --output <DIR>

    Options:
          --output <DIR>  Directory to write the dumps and their catalogue to; must be empty or not
                          exist
          --scale <F>     Size, as a share of the published record counts [default: 0.001]
          --seed <N>      Seed: the same seed and scale give the same bytes [default: 1]
          --jobs <N>      Number of threads [default: one a core]
      -h, --help          Print help
    ");
    insta::assert_snapshot!(help(&["demo", "--help"]), @r"
    Sample dumps, build, verify, ask a first query: needs no input

    Usage: flowlake demo [OPTIONS]

    Options:
          --output <DIR>  Directory for the dumps and the lake; must be empty or not exist [default:
                          flowlake-demo]
      -h, --help          Print help
    ");
}

#[test]
fn the_help_of_inspect_and_verify() {
    insta::assert_snapshot!(help(&["inspect", "--help"]), @r"
    Show what a lake holds and how it was made

    Usage: flowlake inspect [OPTIONS] <LAKE>

    Arguments:
      <LAKE>  The lake: a directory, or a URL such as s3://BUCKET/PREFIX

    Options:
          --json  Print the manifest as JSON
      -h, --help  Print help
    ");
    insta::assert_snapshot!(help(&["verify", "--help"]), @r"
    Check every file of a lake against its manifest

    Usage: flowlake verify [OPTIONS] <LAKE>

    Arguments:
      <LAKE>  The lake or release: a directory, or a URL such as s3://BUCKET/PREFIX

    Options:
          --quick                   Only look at names, sizes and digests that a store keeps; read no
                                    data
          --rebuild-from <DIR|URL>  Also build it again from these dumps, as it was built, in TMPDIR,
                                    and compare
          --config <FILE>           Catalogue to rebuild with, for a release that withholds it
          --recipe <NAME|FILE>      Recipe to rebuild with, for a release that withholds it
          --key-file <FILE>         Key to rebuild with, for a release with pseudonyms
          --json                    Print the report as JSON
          --jobs <N>                Number of threads [default: one a core]
      -h, --help                    Print help

    Examples:
      flowlake verify lake/
      flowlake verify s3://bucket/lake --quick
      flowlake verify releases/1.0.0 --rebuild-from dumps/ --json
    ");
}

#[test]
fn the_help_of_diff() {
    insta::assert_snapshot!(help(&["diff", "--help"]), @r"
    Tell what changed between two lakes

    Usage: flowlake diff [OPTIONS] <A> <B>

    Arguments:
      <A>  A lake or a release: a directory, or a URL such as s3://BUCKET/PREFIX
      <B>  The lake or release to compare it with: what only this one has was added

    Options:
          --json  Print the whole comparison as JSON
      -h, --help  Print help

    Reads both manifests, and no data. The exit code is 0 when there is no difference and 1 when there
    is any: the same rows in another encoding, by a recipe in other words or in a release are a
    difference too, and are said to be that.

    Examples:
      flowlake diff lake/ lake-of-the-new-recipe/
      flowlake diff lake/ s3://bucket/lake --json
    ");
}

#[test]
fn the_help_of_export() {
    insta::assert_snapshot!(help(&["export", "--help"]), @r"
    Write rows as CSV, NDJSON or Arrow, one file a device and month

    Usage: flowlake export [OPTIONS] --format <FORMAT> --output <DIR> <LAKE>

    Arguments:
      <LAKE>
              The lake: a directory, or a URL such as s3://BUCKET/PREFIX

    Options:
          --format <FORMAT>
              Form of the files

              Possible values:
              - csv:    Comma-separated text with a header line
              - ndjson: A JSON object a line
              - arrow:  Arrow IPC files (Feather version 2)

          --output <DIR>
              Directory the files appear in, all at once; must be empty or not exist

          --compression <COMPRESSION>
              How to compress the files

              Possible values:
              - none: Not at all
              - gzip: .gz; not for Arrow
              - zstd: .zst; inside the file for Arrow

              [default: none]

          --class <CLASS>
              Only devices of this class; may be given several times

          --month <YYYY-MM>
              Only this month of flow starts in UTC; may be given several times

          --device <NAME>
              Only this device; may be given several times

          --jobs <N>
              Number of threads [default: one a core]

      -h, --help
              Print help (see a summary with '-h')

    Files are named <device>_<month>.csv and the like. Without --class, --month and --device all rows
    are written.

    Examples:
      flowlake export lake --format csv --output flows/
      flowlake export lake --format ndjson --compression gzip --month 2019-07 --output flows/
      flowlake export lake --format arrow --compression zstd --class smartSpeaker --output speakers/
    ");
}

#[test]
fn the_help_of_completions_and_man() {
    insta::assert_snapshot!(help(&["completions", "--help"]), @r"
    Print a shell completion script

    Usage: flowlake completions <SHELL>

    Arguments:
      <SHELL>  The shell [possible values: bash, elvish, fish, powershell, zsh]

    Options:
      -h, --help  Print help
    ");
    insta::assert_snapshot!(help(&["man", "--help"]), @r"
    Write man pages

    Usage: flowlake man --output <DIR>

    Options:
          --output <DIR>  Directory to write them to
      -h, --help          Print help
    ");
}

#[test]
fn help_comes_in_every_spelling() {
    let full = help(&["--help"]);
    assert_eq!(help(&["help"]), full);
    assert!(!help(&["-h"]).is_empty());
    assert_eq!(help(&["help", "build"]), help(&["build", "--help"]));
    assert_eq!(help(&["--version"]), concat!("flowlake ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_usage_is_exit_code_2_with_a_message_on_standard_error() {
    let cases: [&[&str]; 17] = [
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
        &["diff", "x"],
        &["export", "x", "--output", "y"],
        &["export", "x", "--format", "csv"],
        &["export", "x", "--format", "parquet", "--output", "y"],
        &["completions", "cmd"],
    ];
    let world = World::new();
    for arguments in cases {
        let outcome = Program::new(arguments.iter().copied()).within(world.root()).run().expect_code(2);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        assert!(!outcome.stderr.is_empty(), "{arguments:?}");
    }
    assert!(!world.path("x").exists());
}

#[test]
fn results_go_to_standard_output_and_all_else_to_standard_error() {
    let world = World::with_hub(&DumpText::default().flow(&Flow::new()));
    let outcome = world.build().with("--progress", "plain").run().expect_code(0);
    assert!(outcome.stdout.contains("rows kept"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("warning:"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("warning: dump hub has no trailer"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("[1/1] hub: 1 flows read, 1 kept, 0 rejected"), "{}", outcome.stderr);
    let quiet = World::with_hub(&DumpText::of([Flow::new()])).build().run().expect_code(0);
    assert_eq!(quiet.stderr, "", "nothing to say, and no progress asked for");
}

#[test]
fn progress_off_a_terminal_is_plain_lines() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    for mode in ["auto", "plain"] {
        let outcome = world.build().arg("--replace").with("--progress", mode).run().expect_code(0);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        assert!(!outcome.stderr.contains('\u{1b}') && !outcome.stderr.contains('\r'), "{:?}", outcome.stderr);
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
    world.build_to("other").args(["--recipe", "full"]).run().expect_code(0);
    let programs = [
        world.about_lake("inspect"),
        world.about_lake("inspect").arg("--json"),
        world.about_lake("verify"),
        world.about_lake("verify").arg("--json"),
        world.about_lake("diff").arg(world.path("other")),
        world.about_lake("diff").arg(world.path("other")).arg("--json"),
        world.about_lake("export").args(["--format", "csv", "--output"]).arg(world.path("export")),
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
fn a_full_standard_output_is_a_failure() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        return skipped("no /dev/full here");
    };
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    let told = |program: &Program| {
        let full = full.try_clone().expect("it is open").into_file();
        let output = program.command().stdout(full).stderr(Stdio::piped()).output().expect("the binary runs");
        program.outcome(&output).expect_code(4).stderr
    };
    // What was to be made is there, and this is said.
    insta::assert_snapshot!(told(&world.build()), @r"
    error: cannot write to standard output
    caused by: No space left on device (os error 28)
    hint: the lake is in its place all the same: [dir]/lake
    ");
    insta::assert_snapshot!(told(&world.about_lake("inspect")), @r"
    error: cannot write to standard output
    caused by: No space left on device (os error 28)
    ");
    let export = world.about_lake("export").args(["--format", "csv", "--output"]).arg(world.path("export"));
    insta::assert_snapshot!(told(&export), @r"
    error: cannot write to standard output
    caused by: No space left on device (os error 28)
    hint: the export is in its place all the same: [dir]/export
    ");
    assert!(world.path("lake/manifest.json").exists() && world.path("export").exists());
    // An answer that was to go to a file, or to a device, names that one.
    let query =
        world.about_lake("query").args(["SELECT 1 AS n", "--format", "csv", "--output", "/dev/full"]).run();
    insta::assert_snapshot!(query.expect_code(4).stderr, @r"
    error: cannot write /dev/full
    caused by: No space left on device (os error 28)
    ");
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        for word in ["build", "sample", "demo", "inspect", "verify", "diff", "export", "--replace"] {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
}

#[test]
fn the_completion_script_of_bash_is_one() {
    let world = World::new();
    fs::write(world.path("flowlake.bash"), printed(&["completions", "bash"])).expect("it is written");
    match Command::new("bash").arg("-n").arg(world.path("flowlake.bash")).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => skipped(&format!("no bash: {error}")),
    }
}

#[test]
fn man_writes_a_page_a_command() {
    let world = World::new();
    let run = || Program::new(["man", "--output"]).arg(world.path("man")).run().expect_code(0);
    run();
    let mut names: Vec<String> = super::support::tree(&world.path("man")).into_keys().collect();
    names.sort_unstable();
    insta::assert_snapshot!(names.join("\n"), @r"
    flowlake-build.1
    flowlake-commit.1
    flowlake-completions.1
    flowlake-demo.1
    flowlake-diff.1
    flowlake-export.1
    flowlake-files.1
    flowlake-head.1
    flowlake-inspect.1
    flowlake-man.1
    flowlake-plan.1
    flowlake-query.1
    flowlake-recipe-check.1
    flowlake-recipe-list.1
    flowlake-recipe-show.1
    flowlake-recipe.1
    flowlake-release.1
    flowlake-sample.1
    flowlake-sql.1
    flowlake-task.1
    flowlake-verify.1
    flowlake.1
    ");
    let page = fs::read_to_string(world.path("man/flowlake-build.1")).expect("a page");
    assert!(page.starts_with(".ie") || page.contains(".TH flowlake"), "{page}");
    assert!(page.contains("max") || page.contains("\\-\\-replace"), "{page}");
    run();
}

#[test]
fn man_pages_that_cannot_be_written_are_a_failure_of_the_output() {
    let world = World::new();
    fs::write(world.path("file"), "").expect("it is written");
    Program::new(["man", "--output"]).arg(world.path("file/man")).run().expect_code(4);
}

#[test]
fn a_url_is_not_taken_for_a_directory_of_that_name() {
    let world = World::new();
    for arguments in [
        &["sample", "--output", "s3://bucket/dumps"][..],
        &["demo", "--output", "s3://bucket/demo"],
        &["export", "lake", "--format", "csv", "--output", "s3://bucket/flows"],
        &["man", "--output", "s3://bucket/man"],
    ] {
        let outcome = Program::new(arguments.iter().copied()).within(world.root()).run().expect_code(2);
        outcome.expect_says(["a directory of this machine, not a URL"]);
    }
    assert!(!world.path("s3:").exists());
}

#[test]
fn a_url_that_names_no_place_in_a_store_is_refused_without_being_repeated() {
    let world = World::new();
    for (url, reason) in [
        ("https://example.org/lake", "no store has URLs that begin with https://"),
        ("s3:///lake", "the URL names no bucket"),
        ("s3://key:hidden@bucket/lake", "the URL holds more than a bucket and a prefix"),
        ("gs://bucket/lake?token=hidden", "the URL holds more than a bucket and a prefix"),
        ("az://container/a//b", "the URL's prefix has an empty segment"),
    ] {
        for arguments in
            [&["inspect"][..], &["verify"], &["diff", "x"], &["build", "--config", "x", "--input"]]
        {
            let outcome = Program::new(arguments.iter().copied().chain([url]))
                .within(world.root())
                .run()
                .expect_code(2);
            assert!(!outcome.stderr.contains("hidden"), "{}", outcome.stderr);
            outcome.expect_says([reason]);
        }
    }
}
