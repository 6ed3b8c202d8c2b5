//! `flowlake verify`: whatever changes in a lake after it was built is found.

use fs_err as fs;
use serde_json::{Value, json};

use super::support::{
    DEVICE_MAC, DumpText, Flow, Lake, OTHER_MAC, Program, ROUTER_MAC, World, catalogue, device, pack,
};

/// A lake of two devices, two months and a rejected line.
fn world() -> World {
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    world.set_catalogue(&catalogue("[limits]\nmax_rejected_share = 0.5\n", &devices));
    let hub = DumpText::default()
        .flow(&Flow::new())
        .flow(&Flow::new().starting("2019-08-01 00:00:00.000"))
        .spelled(&Flow::new(), "damaged")
        .trailer();
    let lamp = DumpText::of((0..300).map(|i| Flow::numbered(i).between(OTHER_MAC, ROUTER_MAC)));
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", hub.bytes()));
    world.add_dump("lamp.tar.gz", &pack::tar_gz("lamp", lamp.bytes()));
    world.built();
    world
}

/// Path of the first data file of the hub.
fn hub(world: &World) -> String {
    Lake::open(&world.path("lake")).file("hub", "2019-07")
}

/// Path of the only data file of the lamp.
fn lamp(world: &World) -> String {
    Lake::open(&world.path("lake")).file("lamp", "2019-07")
}

/// Differences found by `verify --json`, as `path kind`; the exit code must fit them.
#[track_caller]
fn differences(world: &World, options: &[&str]) -> Vec<String> {
    let outcome = world.about_lake("verify").arg("--json").args(options).run();
    let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let found: Vec<String> = report["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|difference| {
            assert!(!difference["detail"].as_str().expect("text").is_empty());
            format!(
                "{} {}",
                difference["path"].as_str().expect("a path"),
                difference["kind"].as_str().expect("a kind")
            )
        })
        .collect();
    assert_eq!(outcome.code, Some(i32::from(!found.is_empty())), "{}", outcome.stderr);
    // People are told the same.
    let text = world.about_lake("verify").args(options).run().expect_code(i32::from(!found.is_empty()));
    let named = found.iter().filter(|difference| {
        let (path, _) = difference.rsplit_once(' ').expect("two words");
        text.stdout.contains(&format!("{path}: "))
    });
    assert_eq!(named.count(), found.len(), "{}", text.stdout);
    found
}

#[test]
fn a_lake_as_it_was_built_verifies() {
    let world = world();
    assert_eq!(differences(&world, &[]), Vec::<String>::new());
    assert_eq!(differences(&world, &["--quick"]), Vec::<String>::new());
    let outcome = world.about_lake("verify").run().expect_code(0);
    assert!(outcome.stdout.starts_with("verified: 3 files, 302 rows, "), "{}", outcome.stdout);
    let report: Value =
        serde_json::from_str(&world.about_lake("verify").arg("--json").run().stdout).expect("JSON");
    assert_eq!(report["filesChecked"], 3);
    assert_eq!(report["rowsChecked"], 302);
    let bytes: u64 =
        world.lake().list("files").iter().map(|file| file["bytes"].as_u64().expect("a number")).sum();
    assert_eq!(report["bytesChecked"], bytes);
}

#[test]
fn a_flipped_byte_anywhere_in_a_data_file_is_found() {
    let world = world();
    let lamp = lamp(&world);
    let path = world.path("lake").join(&lamp);
    let good = fs::read(&path).expect("a data file");
    for step in 0..24 {
        let at = step * (good.len() - 1) / 23;
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, &bad).expect("it is written");
        assert_eq!(differences(&world, &[]), [format!("{lamp} sha256")], "byte {at}");
    }
    assert_eq!(differences(&world, &["--quick"]), Vec::<String>::new(), "the size is the same");
    fs::write(&path, &good).expect("it is written");
    assert_eq!(differences(&world, &[]), Vec::<String>::new());
}

#[test]
fn a_missing_file_is_found_also_quickly() {
    let world = world();
    let hub = hub(&world);
    fs::remove_file(world.path("lake").join(&hub)).expect("it goes");
    for options in [&[][..], &["--quick"]] {
        assert_eq!(differences(&world, options), [format!("{hub} missing")]);
    }
}

#[test]
fn a_truncated_or_longer_file_is_found_also_quickly() {
    let world = world();
    let hub = hub(&world);
    let path = world.path("lake").join(&hub);
    let good = fs::read(&path).expect("a data file");
    let longer = [good.as_slice(), b"x"].concat();
    for bad in [&good[..good.len() - 1], &good[..good.len() / 2], &[], &longer] {
        fs::write(&path, bad).expect("it is written");
        assert_eq!(differences(&world, &["--quick"]), [format!("{hub} size")]);
        let found = differences(&world, &[]);
        assert!(found.contains(&format!("{hub} size")), "{found:?}");
    }
}

#[test]
fn stray_files_and_directories_are_found_also_quickly() {
    let world = world();
    let hub = hub(&world);
    let lake = world.path("lake");
    fs::write(lake.join("notes.txt"), "mine").expect("it is written");
    fs::write(lake.join("data/README"), "mine").expect("it is written");
    fs::copy(lake.join(&hub), lake.join(hub.replace("hub-00000", "hub-00001"))).expect("it is copied");
    fs::create_dir_all(lake.join("data/month=2019-09/deviceClass=lighting")).expect("a directory");
    fs::write(lake.join("rejected/lamp.ndjson"), "").expect("it is written");
    fs::write(lake.join("data/.hidden"), "").expect("it is written");
    let expected = [
        "data/.hidden stray".to_owned(),
        "data/README stray".to_owned(),
        format!("{} stray", hub.replace("hub-00000", "hub-00001")),
        "data/month=2019-09 stray".to_owned(),
        "notes.txt stray".to_owned(),
        "rejected/lamp.ndjson stray".to_owned(),
    ];
    for options in [&[][..], &["--quick"]] {
        assert_eq!(differences(&world, options), expected);
    }
}

#[test]
fn a_file_exchanged_for_another_good_one_is_found() {
    let world = world();
    let lake = world.path("lake");
    let (hub, lamp) = (hub(&world), lamp(&world));
    fs::copy(lake.join(lamp), lake.join(&hub)).expect("it is copied");
    let found = differences(&world, &[]);
    assert!(found.iter().any(|difference| difference.starts_with(&hub)), "{found:?}");
}

#[test]
fn a_link_in_the_place_of_a_file_is_found() {
    let world = world();
    let lake = world.path("lake");
    let hub = hub(&world);
    fs::rename(lake.join(&hub), world.path("elsewhere.parquet")).expect("it moves");
    fs::os::unix::fs::symlink(world.path("elsewhere.parquet"), lake.join(&hub)).expect("a link");
    assert_eq!(differences(&world, &[]), [format!("{hub} notAFile")]);
}

#[test]
fn rejected_lines_that_changed_or_are_gone_are_found() {
    let world = world();
    let rejected = world.lake().rejected_path("hub");
    let path = world.path("lake").join(&rejected);
    let good = fs::read_to_string(&path).expect("rejected lines");
    fs::write(&path, good.replace("damaged", "mended!")).expect("it is written");
    assert_eq!(differences(&world, &[]), [format!("{rejected} sha256")]);
    assert_eq!(differences(&world, &["--quick"]), Vec::<String>::new(), "the size is the same");
    fs::write(&path, good + "{}\n").expect("it is written");
    assert_eq!(differences(&world, &["--quick"]), [format!("{rejected} size")]);
    fs::remove_file(&path).expect("it goes");
    assert_eq!(differences(&world, &["--quick"]), [format!("{rejected} missing")]);
}

#[test]
fn a_path_of_rejected_lines_that_leads_elsewhere_is_not_opened() {
    for path in ["../outside.ndjson", "/etc/passwd", "rejected/../../x.ndjson", "data/hub.ndjson"] {
        let world = world();
        edit(&world, |manifest| manifest["sources"][0]["rejectedLines"]["path"] = json!(path));
        let found = differences(&world, &[]);
        assert!(found.contains(&format!("{path} badPath")), "{found:?}");
    }
}

/// The name of a file says what bytes it has, so a file that has others cannot be hidden by changing the manifest alone.
#[test]
fn a_name_that_is_not_that_of_its_digest_is_found_also_quickly() {
    let world = world();
    let hub = hub(&world);
    edit(&world, |manifest| manifest["files"][0]["sha256"] = json!("0".repeat(64)));
    for options in [&[][..], &["--quick"]] {
        assert_eq!(differences(&world, options), [format!("{hub} badPath")]);
    }
}

/// Changes the manifest of a lake.
fn edit(world: &World, change: impl FnOnce(&mut Value)) {
    let mut manifest = world.lake().manifest;
    change(&mut manifest);
    fs::write(world.path("lake/manifest.json"), manifest.to_string()).expect("it is written");
}

#[test]
fn numbers_of_a_manifest_that_do_not_add_up_are_found_also_quickly() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 5] = [
        (|manifest| manifest["rowAccounting"]["read"] = json!(304), "manifest.json rowAccounting"),
        (
            |manifest| manifest["rowAccounting"]["removed"][0]["rows"] = json!(1),
            "manifest.json rowAccounting",
        ),
        (|manifest| manifest["totals"]["rows"] = json!(301), "manifest.json totals"),
        (|manifest| manifest["sources"][1]["kept"] = json!(299), "manifest.json totals"),
        (|manifest| manifest["files"][0]["rows"] = json!(2), "manifest.json totals"),
    ];
    for (change, expected) in changes {
        let world = world();
        edit(&world, change);
        for options in [&[][..], &["--quick"]] {
            let found = differences(&world, options);
            assert!(found.iter().any(|difference| difference == expected), "{expected}: {found:?}");
        }
    }
}

#[test]
fn what_a_manifest_says_of_a_file_is_checked_against_its_rows() {
    let changes = [
        ("minFlowStart", json!("2019-07-01T09:00:00.000Z"), "flowStart"),
        ("contentDigest", json!("0".repeat(64)), "contentDigest"),
        ("rowGroups", json!(2), "rowGroups"),
        ("sha256", json!("0".repeat(64)), "badPath"),
        ("deviceName", json!("lamp"), "partition"),
        ("month", json!("2019-08"), "partition"),
    ];
    for (key, value, expected) in changes {
        let world = world();
        let hub = hub(&world);
        edit(&world, |manifest| manifest["files"][0][key] = value);
        let found = differences(&world, &[]);
        assert!(found.contains(&format!("{hub} {expected}")), "{key}: {found:?}");
    }
}

#[test]
fn another_schema_in_the_manifest_is_found() {
    let world = world();
    edit(&world, |manifest| {
        manifest["schema"]["columns"][5]["type"] = json!("int64");
    });
    assert!(differences(&world, &[]).contains(&format!("{} schema", hub(&world))));
}

#[test]
fn a_path_that_leads_out_of_the_lake_is_refused_and_not_opened() {
    for path in [
        "../outside-00000.parquet",
        "/etc/passwd",
        "data/month=2019-07/deviceClass=../../../x/y-00000.parquet",
        "data/month=2019-07/deviceClass=../../../x/y-00000-0123456789abcdef.parquet",
    ] {
        let world = world();
        edit(&world, |manifest| manifest["files"][0]["path"] = json!(path));
        let found = differences(&world, &[]);
        assert!(found.contains(&format!("{path} badPath")), "{found:?}");
    }
}

#[test]
fn what_is_no_lake_cannot_be_verified() {
    let world = World::new();
    let outcome = world.about_lake("verify").run().expect_code(3);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: cannot verify [dir]/lake
    caused by: [dir]/lake is not a lake: it has no manifest.json
    ");
    fs::create_dir(world.path("lake")).expect("a directory");
    world.about_lake("verify").run().expect_code(3);
    fs::write(world.path("lake/manifest.json"), "{\n  \"formatVersion\": 1,\n").expect("it is written");
    let outcome = world.about_lake("verify").run().expect_code(3);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: cannot verify [dir]/lake
    caused by: [dir]/lake/manifest.json line 3, column 0: not a manifest
    caused by: EOF while parsing a value at line 3 column 0
    ");
}

#[test]
fn the_number_of_threads_changes_no_word_of_the_report() {
    let world = world();
    fs::remove_file(world.path("lake").join(hub(&world))).expect("it goes");
    fs::write(world.path("lake").join(lamp(&world)), "x").expect("it is written");
    let report = |jobs: &str| world.about_lake("verify").args(["--jobs", jobs]).run().expect_code(1).stdout;
    assert_eq!(report("1"), report("4"));
}

#[test]
fn a_lake_can_be_moved_and_copied() {
    let world = world();
    fs::create_dir(world.path("archive")).expect("a directory");
    fs::rename(world.path("lake"), world.path("archive/renamed")).expect("it moves");
    Program::new(["verify"]).arg(world.path("archive/renamed")).run().expect_code(0);
    Program::new(["verify", "."]).within(&world.path("archive/renamed")).run().expect_code(0);
}
