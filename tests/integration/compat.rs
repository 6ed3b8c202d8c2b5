//! Manifests of released format versions stay readable for ever; `tests/compat/` keeps one of each.

use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};

use super::support::{DumpText, Flow, World, tree};

/// Made by flowlake 0.1.0 from inputs with something in every list: none of these is ever to be written again.
const VERSION_1: &str = include_str!("../compat/manifest-v1.json");

/// The same inputs, when columns had got profiles.
const VERSION_1_PROFILES: &str = include_str!("../compat/manifest-v1-profiles.json");

/// The same inputs, when files had got the beginning of their SHA-256 in their names, and rejected lines an entry.
const VERSION_1_CONTENT_NAMES: &str = include_str!("../compat/manifest-v1-content-names.json");

/// The same inputs, when the configuration was kept and the rows of a whole lake had got a digest.
const VERSION_1_CONFIGURATION: &str = include_str!("../compat/manifest-v1-configuration.json");

/// That of a release of the same lake, with pseudonyms.
const VERSION_1_RELEASE: &str = include_str!("../compat/manifest-v1-release.json");

/// The newest that is kept.
const NEWEST: &str = VERSION_1_CONFIGURATION;

/// Every manifest that is kept, the newest last.
const KEPT: [&str; 4] = [VERSION_1, VERSION_1_PROFILES, VERSION_1_CONTENT_NAMES, VERSION_1_CONFIGURATION];

/// A lake of which there is the manifest alone.
fn world_of(manifest: &str) -> World {
    let world = World::new();
    fs::create_dir(world.path("lake")).expect("a directory");
    fs::write(world.path("lake/manifest.json"), manifest).expect("it is written");
    world
}

#[test]
fn a_manifest_of_format_version_1_is_inspected_and_nothing_of_it_is_lost() {
    for kept in KEPT {
        let world = world_of(kept);
        let text = world.about_lake("inspect").run().expect_code(0).stdout;
        assert!(text.contains("manifest format 1"), "{text}");
        let printed = world.about_lake("inspect").arg("--json").run().expect_code(0).stdout;
        let expected: Value = serde_json::from_str(kept).expect("JSON");
        assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), expected);
    }
}

#[test]
fn a_lake_of_format_version_1_is_verified_against_its_manifest() {
    for kept in KEPT {
        let world = world_of(kept);
        let outcome = world.about_lake("verify").arg("--json").run().expect_code(1);
        let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        let manifest: Value = serde_json::from_str(kept).expect("JSON");
        let differences = report["differences"].as_array().expect("a list");
        // Nothing but that its files are not here: its numbers agree.
        assert!(differences.iter().all(|difference| difference["kind"] == "missing"), "{differences:?}");
        let files = manifest["files"].as_array().expect("a list").len();
        let rejected = manifest["sources"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|source| source["rejected"] != 0)
            .count();
        assert_eq!(differences.len(), files + rejected);
    }
}

/// The newest one, with its entries in lists of two.
#[test]
fn a_manifest_of_format_version_2_is_read_with_its_lists_and_nothing_of_it_is_lost() {
    let world = World::new();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/compat/manifest-v2");
    let lake = world.path("lake");
    fs::create_dir_all(lake.join("manifest")).expect("it is made");
    for (path, bytes) in tree(&kept).into_iter().filter(|(path, _)| !path.ends_with('/')) {
        fs::write(lake.join(path), bytes).expect("it is written");
    }
    let mut expected: Value = serde_json::from_str(NEWEST).expect("JSON");
    expected["formatVersion"] = json!(2);
    let printed = world.about_lake("inspect").arg("--json").run().expect_code(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), expected);
    let report = world.about_lake("verify").arg("--json").run().expect_code(1).stdout;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let differences = report["differences"].as_array().expect("a list");
    assert!(!differences.is_empty());
    assert!(differences.iter().all(|difference| difference["kind"] == "missing"), "{differences:?}");
}

#[test]
fn lakes_of_every_kept_manifest_hold_the_same_rows() {
    const SAME: &str = "same rows, other encoding";
    let newest = world_of(NEWEST);
    let headlines = KEPT.map(|kept| {
        let older = world_of(kept);
        let diff = older.about_lake("diff").arg(newest.path("lake")).run();
        diff.stdout.lines().next().map(str::to_owned).expect("a line")
    });
    assert_eq!(headlines, [SAME, SAME, "same rows, other manifest", "no difference"]);
}

#[test]
fn a_release_of_format_version_1_is_read_and_nothing_of_it_is_lost() {
    let world = world_of(VERSION_1_RELEASE);
    let text = world.about_lake("inspect").run().expect_code(0).stdout;
    for told in
        ["release   1.0.0, 2026-11-22, made by flowlake 0.1.0", "private   IoTMacAddress: hmac-sha256"]
    {
        assert!(text.contains(told), "{text}");
    }
    let kept: Value = serde_json::from_str(VERSION_1_RELEASE).expect("JSON");
    let printed = world.about_lake("inspect").arg("--json").run().expect_code(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), kept);
    let report = world.about_lake("verify").arg("--json").run().expect_code(1).stdout;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let differences = report["differences"].as_array().expect("a list");
    assert!(differences.iter().all(|difference| difference["kind"] == "missing"), "{differences:?}");
    // Rejected lines are withheld, and none is missed.
    let listed =
        [&kept["files"], &kept["release"]["documents"]].map(|list| list.as_array().expect("a list").len());
    assert_eq!(differences.len(), listed[0] + listed[1] + 1, "and SHA256SUMS");
    let newest = world_of(NEWEST);
    let told = newest.about_lake("diff").arg(world.path("lake")).run().expect_code(1).stdout;
    assert!(told.starts_with("they differ: release, privacy, catalogue, "), "{told}");
    world.add_dump("hub.json", DumpText::of([Flow::new()]).bytes());
    world.build().arg("--replace").run().expect_code(5);
}

#[test]
fn todays_release_has_the_keys_of_the_one_that_is_kept() {
    let mut kept = Vec::new();
    keys(&serde_json::from_str(VERSION_1_RELEASE).expect("JSON"), "", &mut kept);
    let mut today = Vec::new();
    keys(&compat_release(), "", &mut today);
    kept.sort_unstable();
    today.sort_unstable();
    assert_eq!(today, kept);
}

#[test]
fn a_lake_of_format_version_1_can_be_replaced() {
    let world = world_of(VERSION_1);
    world.add_dump("hub.json", DumpText::of([Flow::new()]).bytes());
    world.build().run().expect_code(4);
    world.build().arg("--replace").run().expect_code(0);
    world.lake();
}

#[test]
fn a_manifest_with_keys_of_the_future_is_still_read() {
    let mut manifest: Value = serde_json::from_str(VERSION_1).expect("JSON");
    manifest["somethingNew"] = json!({"a": 1});
    manifest["files"][0]["another"] = json!([]);
    world_of(&manifest.to_string()).about_lake("inspect").run().expect_code(0);
}

#[test]
fn a_manifest_of_a_newer_format_is_refused_with_a_word_about_it() {
    let world = world_of("{\"formatVersion\": 3, \"files\": \"elsewhere\"}");
    let outcome = world.about_lake("inspect").run().expect_code(3);
    insta::assert_snapshot!(outcome.stderr, @"error: [dir]/lake/manifest.json has format version 3; this version of flowlake reads up to 2: a newer one is needed");
    world.about_lake("verify").run().expect_code(3);
}

/// Keys in the order of the text, each once for all elements of a list; values are left out.
fn keys(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = format!("{path}.{key}");
                if !found.contains(&path) {
                    found.push(path.clone());
                }
                keys(value, &path, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

#[test]
fn todays_manifest_has_the_keys_of_the_newest_that_is_kept() {
    // Whoever adds a key adds a manifest with it here; whoever takes one away breaks those who read it.
    let mut kept = Vec::new();
    keys(&serde_json::from_str(NEWEST).expect("JSON"), "", &mut kept);
    let manifest = compat_world().built().manifest;
    let mut today = Vec::new();
    keys(&manifest, "", &mut today);
    kept.sort_unstable();
    today.sort_unstable();
    assert_eq!(today, kept);

    for older in KEPT {
        let mut first = Vec::new();
        keys(&serde_json::from_str(older).expect("JSON"), "", &mut first);
        assert!(first.iter().all(|key| kept.contains(key)), "none was ever taken away");
    }
}

#[test]
fn the_keys_of_a_manifest_are_in_a_fixed_order() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.built();
    let text = fs::read_to_string(world.path("lake/manifest.json")).expect("a manifest");
    let top: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  \"").and_then(|rest| rest.split_once("\":")))
        .map(|(key, _)| key)
        .collect();
    insta::assert_snapshot!(top.join(" "), @"formatVersion tool dataset recipe schema droppedColumns rowAccounting repairs sources files totals warnings configuration");
    assert!(text.ends_with("}\n"));
}

/// The inputs of the manifest that is kept.
fn compat_world() -> World {
    use super::support::{DEVICE_MAC, OTHER_MAC, catalogue, device, pack};
    let world = World::new();
    let devices = [
        device("hub", "iotGatewayHub", DEVICE_MAC) + "published_records = 6\n",
        device("lamp", "lighting", OTHER_MAC),
    ];
    world.set_catalogue(&catalogue("[limits]\nmax_rejected_share = 0.5\n", &devices));
    let hub = DumpText::default()
        .flow(&Flow::new().text("destinationIPv4Address", "2001:0db8::0001").text("flowEndReason", ""))
        .flow(&Flow::new().starting("2019-08-01 00:00:00.000").text("vlanId", "0x064"))
        .flow(&Flow::inbound())
        .flow(&Flow::new().raw("applicationLabel", "443").unanswered())
        .spelled(&Flow::new(), "damaged")
        .line("{\"dns\":{}}")
        .trailer();
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", hub.bytes()));
    world.add_dump("nobody.json", b"");
    world
}

/// The manifest of a release of that.
fn compat_release() -> Value {
    let world = compat_world();
    let text = fs::read_to_string(world.catalogue_path()).expect("it is there");
    world.set_catalogue(&text.replace("[limits]", "redistribution = true\n\n[limits]"));
    world.built();
    fs::write(world.path("key"), "0123456789abcdef").expect("it is written");
    let release =
        world.about_lake("release").args(["--version", "1.0.0", "--date", "2026-11-22", "--output"]);
    let hidden = ["--mac", "hmac", "--ip", "drop", "--drop", "flowEndReason", "--key-file"];
    release.arg(world.path("release")).args(hidden).arg(world.path("key")).run().expect_code(0);
    let text = fs::read(world.path("release/manifest.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}
