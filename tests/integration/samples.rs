//! `flowlake sample` and `flowlake demo`: the whole way without any input.

use std::path::Path;

use fs_err as fs;
use serde_json::Value;

use super::support::{Lake, Program, World, tree};

#[track_caller]
fn sample(output: &Path, options: &[&str]) -> String {
    Program::new(["sample", "--output"]).arg(output).args(options).run().expect_code(0).stdout
}

#[track_caller]
fn build(dumps: &Path, lake: &Path) -> Lake {
    Program::new(["build", "--strict", "--progress", "none", "--config"])
        .arg(dumps.join("catalogue.toml"))
        .arg("--input")
        .arg(dumps)
        .arg("--output")
        .arg(lake)
        .run()
        .expect_code(0);
    Program::new(["verify"]).arg(lake).run().expect_code(0);
    Lake::open(lake)
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_any_number_of_threads() {
    let world = World::new();
    let options = ["--scale", "0.0001", "--seed", "7"];
    sample(&world.path("a"), &[&options[..], &["--jobs", "1"]].concat());
    sample(&world.path("b"), &[&options[..], &["--jobs", "4"]].concat());
    assert_eq!(tree(&world.path("a")), tree(&world.path("b")));
}

#[test]
fn another_seed_gives_other_flows_of_the_same_numbers() {
    let world = World::new();
    sample(&world.path("a"), &["--scale", "0.0001", "--seed", "1"]);
    sample(&world.path("b"), &["--scale", "0.0001", "--seed", "2"]);
    let (a, b) = (tree(&world.path("a")), tree(&world.path("b")));
    assert!(a.keys().eq(b.keys()), "the same files");
    assert_eq!(a["catalogue.toml"], b["catalogue.toml"]);
    let same = a.iter().filter(|(name, bytes)| name.contains(".tar.gz") && b[*name] == **bytes).count();
    assert_eq!(same, 0, "no dump is the same");
}

#[test]
fn a_sample_has_a_dump_of_every_device_and_builds_without_a_warning() {
    let world = World::new();
    let said = sample(&world.path("dumps-2"), &["--scale", "0.0002"]);
    assert!(said.contains("flowlake build --config "), "{said}");
    let lake = build(&world.path("dumps-2"), &world.path("lake"));
    assert_eq!(lake.list("sources").len(), 25);
    let ill: Vec<&Value> = lake
        .list("sources")
        .iter()
        .filter(|source| {
            source["trailer"]["matches"] != true
                || source["rejected"] != 0
                || source["publishedRecords"] != source["read"]
                || source["records"]["stats"] == 0
        })
        .collect();
    assert!(ill.is_empty(), "{ill:?}");
    assert!(
        lake.list("sources")
            .iter()
            .any(|source| source["parts"].as_array().is_some_and(|parts| parts.len() > 1))
    );
    assert_eq!(lake.warnings(), Vec::<&str>::new());
    let removed = lake.accounting()["removed"].clone();
    assert!(removed["toDevice"] != 0, "{removed}");
    // What real dumps make awkward is in there.
    for repair in [
        "macTrailingColon",
        "ipv6Canonical",
        "ipv4Unspecified",
        "durationMilliseconds",
        "flowEndReasonClosed",
    ] {
        assert!(lake.repaired(repair) > 0, "{repair}");
    }
}

#[test]
fn the_scale_multiplies_the_published_counts() {
    let world = World::new();
    sample(&world.path("dumps-2"), &["--scale", "0.0005"]);
    let lake = build(&world.path("dumps-2"), &world.path("lake"));
    let read = |dump: &str| {
        let source = lake.list("sources").iter().find(|source| source["dump"] == dump).expect("a source");
        source["read"].as_u64().expect("a number")
    };
    assert_eq!(read("amazon_echo_gen2"), 267, "534,289 × 0.0005");
    assert_eq!(read("mouse_computer_room_hub"), 20, "16,932 × 0.0005 are too few to see anything");
}

#[test]
fn a_sample_never_writes_over_anything() {
    let world = World::new();
    fs::create_dir(world.path("mine")).expect("a directory");
    fs::write(world.path("mine/thesis.tex"), "years of work").expect("it is written");
    let before = tree(&world.path("mine"));
    let program = Program::new(["sample", "--scale", "0.0001", "--output"])
        .arg(world.path("mine"))
        .redact(world.root());
    let outcome = program.run().expect_code(4);
    insta::assert_snapshot!(outcome.stderr, @"error: the output directory '[dir]/mine' is not empty: give a new or an empty one");
    assert_eq!(tree(&world.path("mine")), before);
    fs::write(world.path("file"), "").expect("it is written");
    Program::new(["sample", "--output"]).arg(world.path("file/dumps")).run().expect_code(4);
}

#[test]
fn the_demo_ends_with_a_verified_lake_and_the_answer_to_a_query() {
    let world = World::new();
    let outcome =
        Program::new(["demo", "--output"]).arg(world.path("demo")).redact(world.root()).run().expect_code(0);
    assert_eq!(outcome.stderr, "", "nothing is wrong");
    for text in [
        "1. Synthetic dumps of 25 devices",
        "2. A lake of them",
        "3. Every byte checked against the manifest",
        "\nverified: ",
        "4. A first query",
        "\nNow try:\n  flowlake inspect [dir]/demo/lake\n",
    ] {
        assert!(outcome.stdout.contains(text), "no {text:?} in {}", outcome.stdout);
    }
    let (_, answer) = outcome.stdout.split_once("4. A first query").expect("a query");
    let (answer, _) = answer.split_once("\nNow try:").expect("its end");
    let lake = Lake::open(&world.path("demo/lake"));
    let mut classes: Vec<&str> =
        lake.list("files").iter().map(|file| file["deviceClass"].as_str().expect("a class")).collect();
    classes.sort_unstable();
    classes.dedup();
    assert!(
        classes.iter().all(|class| answer.lines().any(|line| line.trim_start().starts_with(class))),
        "{answer}"
    );
    Program::new(["verify"]).arg(world.path("demo/lake")).run().expect_code(0);

    let again =
        Program::new(["demo", "--output"]).arg(world.path("demo")).redact(world.root()).run().expect_code(4);
    insta::assert_snapshot!(again.stderr, @r"
    error: [dir]/demo already holds a demo
    hint: remove it, or give another --output
    ");
}

#[test]
fn the_demo_makes_the_directory_it_names_where_it_is_run() {
    let world = World::new();
    Program::new(["demo"]).within(world.root()).run().expect_code(0);
    assert!(world.path("flowlake-demo/lake/manifest.json").is_file());
}

#[test]
fn a_demo_in_a_directory_with_other_things_leaves_them_alone() {
    let world = World::new();
    fs::create_dir_all(world.path("demo/dumps")).expect("a directory");
    fs::write(world.path("demo/dumps/thesis.tex"), "years of work").expect("it is written");
    let before = tree(&world.path("demo"));
    Program::new(["demo", "--output"]).arg(world.path("demo")).run().expect_code(4);
    assert_eq!(tree(&world.path("demo")), before);
}
