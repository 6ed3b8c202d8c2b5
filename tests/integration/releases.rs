//! `flowlake release`: a lake that is handed out, cited, checked and built again.

mod privacy;
mod rebuilding;

use std::path::Path;
use std::process::{Command, Stdio};

use fs_err as fs;
use serde_json::Value;

use super::support::{
    BINARY, DEVICE_MAC, DumpText, Flow, OTHER_MAC, Outcome, Program, ROUTER_MAC, World, catalogue, device,
    pack, tree,
};

/// A lake of two devices, two months and a rejected line.
fn world() -> World {
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    let text = catalogue("[limits]\nmax_rejected_share = 0.5\n", &devices);
    world.set_catalogue(&text.replace("[limits]", "redistribution = true\n\n[limits]"));
    let hub = DumpText::default()
        .flow(&Flow::new())
        .flow(&Flow::new().starting("2019-08-01 00:00:00.000"))
        .flow(&Flow::inbound())
        .spelled(&Flow::new(), "damaged")
        .trailer();
    let lamp = DumpText::of((0..300).map(|i| Flow::numbered(i).between(OTHER_MAC, ROUTER_MAC)));
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", hub.bytes()));
    world.add_dump("lamp.tar.gz", &pack::tar_gz("lamp", lamp.bytes()));
    world.built();
    world
}

/// `flowlake release` of the lake here.
fn release(world: &World, version: &str, output: &str) -> Program {
    let command = world.about_lake("release").args(["--version", version, "--output"]);
    command.arg(world.path(output))
}

fn manifest(directory: &Path) -> Value {
    let text = fs::read(directory.join("manifest.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

/// Runs a tool of the system in a directory; what it prints is in the outcome.
fn run(directory: &Path, program: &str, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    let path = Path::new(BINARY).parent().expect("a directory").to_str().expect("UTF-8");
    let output = command
        .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("DUMPS", directory.join("../dumps"))
        .output()
        .expect("it runs");
    Program::new([""; 0]).redact(directory).outcome(&output)
}

/// The `sh` blocks of a page, in order.
fn script(page: &str) -> String {
    let mut script = String::new();
    let mut fence: Option<&str> = None;
    for line in page.split('\n') {
        match fence {
            None => {
                fence = line
                    .strip_suffix("sh")
                    .filter(|fence| fence.len() > 2 && fence.trim_matches('`').is_empty());
            }
            Some(end) if line == end => fence = None,
            Some(_) => script += &format!("{line}\n"),
        }
    }
    assert!(script.contains("flowlake build"), "{page}");
    script
}

/// The whole life of a data set, as whoever makes it and whoever gets it live it.
#[test]
fn a_release_is_checked_rebuilt_damaged_and_followed_by_another() {
    let world = World::new();
    Program::new(["sample", "--scale", "0.0001", "--output"]).arg(world.path("sample")).run().expect_code(0);
    fs::remove_dir(world.dumps()).expect("it is empty");
    fs::rename(world.path("sample"), world.dumps()).expect("it moves");
    fs::rename(world.dumps().join("catalogue.toml"), world.catalogue_path()).expect("it moves");
    world.built();
    release(&world, "1.0.0", "1.0.0").run().expect_code(0);

    // Checked with nothing of ours.
    let first = world.path("1.0.0");
    let sums = run(&first, "sha256sum", &["-c", "SHA256SUMS"]).expect_code(0).stdout;
    let files = tree(&first).into_keys().filter(|path| !path.ends_with('/')).count();
    assert_eq!(sums.lines().count(), files - 1, "all but the list itself");

    // Rebuilt from the dumps, with nothing but one page of it at hand.
    let expected = tree(&first);
    let page = fs::read_to_string(first.join("rebuild.md")).expect("a page");
    fs::remove_dir_all(&first).expect("it goes");
    fs::remove_dir_all(world.path("lake")).expect("it goes");
    fs::create_dir(world.path("work")).expect("a directory");
    run(&world.path("work"), "sh", &["-c", &script(&page)]).expect_code(0);
    assert!(tree(&world.path("work/rebuilt")) == expected, "it has other bytes");
    fs::rename(world.path("work/rebuilt"), &first).expect("it moves");
    fs::rename(world.path("work/lake"), world.path("lake")).expect("it moves");

    // One byte.
    let data = manifest(&first)["files"][7]["path"].as_str().expect("a path").to_owned();
    flip(&first.join(&data), 100);
    let found = Program::new(["verify"]).arg(&first).run().expect_code(1).stdout;
    assert!(found.starts_with(&format!("{data}: SHA-256: expected ")), "{found}");
    run(&first, "sha256sum", &["-c", "--quiet", "SHA256SUMS"]).expect_code(1);
    flip(&first.join(&data), 100);
    Program::new(["verify"]).arg(&first).run().expect_code(0);

    // Another rule, another version.
    let recipe = Program::new(["recipe", "show", "flows"]).run().expect_code(0).stdout;
    let stricter = recipe.replacen(
        "[[filter]]",
        "[[filter]]\nrule = \"icmp\"\nremove = { column = \"protocolIdentifier\", in = [1] }\n\
         description = \"Of no interest here\"\n\n[[filter]]",
        1,
    );
    assert_ne!(stricter, recipe);
    fs::write(world.path("stricter.toml"), stricter).expect("it is written");
    world.build().arg("--replace").arg("--recipe").arg(world.path("stricter.toml")).run().expect_code(0);
    release(&world, "1.1.0", "1.1.0").run().expect_code(0);
    let told = Program::new(["diff"]).arg(&first).arg(world.path("1.1.0")).run().expect_code(1).stdout;
    for explained in ["icmp", "1.0.0", "1.1.0", "+rule = \"icmp\""] {
        assert!(told.contains(explained), "no {explained} in\n{told}");
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("it is written");
}

#[test]
fn a_release_holds_what_the_lake_holds_and_what_explains_it() {
    let world = world();
    release(&world, "2.0.0-rc.1+build.5", "release").args(["--date", "2026-11-22"]).run().expect_code(0);
    let (lake, release) = (tree(&world.path("lake")), tree(&world.path("release")));
    for (path, bytes) in lake.iter().filter(|(path, _)| *path != "manifest.json") {
        assert_eq!(release.get(path), Some(bytes), "{path}");
    }
    let added: Vec<&str> =
        release.keys().filter(|path| !lake.contains_key(*path)).map(String::as_str).collect();
    insta::assert_snapshot!(added.join(" "), @"CITATION.cff LICENSE README.md SHA256SUMS config/ config/recipes/ config/recipes/flows.toml config/test-set.toml croissant.json datapackage.json rebuild.md tableschema.json");

    let mut manifest = manifest(&world.path("release"));
    let stated = manifest["release"].take();
    assert_eq!(stated["version"], "2.0.0-rc.1+build.5");
    assert_eq!(stated["date"], "2026-11-22");
    assert_eq!(stated["redistribution"], true);
    let documents = stated["documents"].as_array().expect("a list");
    let listed: Vec<&str> = documents.iter().map(|entry| entry["path"].as_str().expect("a path")).collect();
    let expected: Vec<&str> =
        added.into_iter().filter(|path| !path.ends_with('/') && *path != "SHA256SUMS").collect();
    assert_eq!(listed, expected);

    manifest.as_object_mut().expect("an object").remove("release");
    assert_eq!(manifest, self::manifest(&world.path("lake")), "the rest is the lake's");
    let catalogue = fs::read(world.catalogue_path()).expect("it is there");
    assert_eq!(release["config/test-set.toml"], catalogue);
}

#[test]
fn releases_of_the_same_lake_have_the_same_bytes_wherever_they_are_made() {
    let world = world();
    release(&world, "1.0.0", "one").run().expect_code(0);
    let mut command = Program::new(["release", "lake", "--version", "1.0.0", "--jobs", "1", "--output"])
        .arg("deep/er/two")
        .within(world.root())
        .command();
    command.env("TZ", "Asia/Tokyo").env("LC_ALL", "de_DE.UTF-8").env("HOME", world.root());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(tree(&world.path("one")), tree(&world.path("deep/er/two")));
}

#[test]
fn a_version_that_exists_is_never_overwritten() {
    let world = world();
    release(&world, "1.0.0", "release").run().expect_code(0);
    let before = tree(&world.path("release"));
    let outcome = release(&world, "1.0.1", "release").run().expect_code(5);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: [dir]/release holds release 1.0.0, which is never overwritten
    hint: what is there is left alone; give another --output
    ");
    world.build_to("release").run().expect_code(5);
    world.build_to("release").arg("--replace").run().expect_code(5);
    assert_eq!(tree(&world.path("release")), before);

    let outcome = release(&world, "1.0.0", "other").run().expect_code(0);
    assert_eq!(outcome.stderr, "");
    // A lake is nothing to write a release over either, nor is anything else.
    world.build_to("second").run().expect_code(0);
    release(&world, "1.0.0", "second").run().expect_code(5);
    release(&world, "1.0.0", "dumps").run().expect_code(4);
    release(&world, "1.0.0", "lake/release").run().expect_code(2);
    // Inside another one it would be a stray for ever.
    let outcome = release(&world, "1.0.0", "release/data/inner").run().expect_code(4);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: [dir]/release/data/inner lies inside the lake at [dir]/release
    hint: give an --output outside of it
    ");
    world.build_to("release/inner").run().expect_code(4);
    std::os::unix::fs::symlink(world.path("release/data"), world.path("link")).expect("a link");
    world.build_to("link/inner").run().expect_code(4);
    // A path that leads out of a lake again is none inside of it.
    let out = Program::new(["release", ".", "--version", "1.0.0", "--output", "../out"])
        .within(&world.path("lake"));
    out.run().expect_code(0);
    Program::new(["verify"]).arg(world.path("out")).run().expect_code(0);
    // Whatever else is there, the release is there.
    fs::create_dir(world.path("release/empty")).expect("a directory");
    fs::write(world.path("release/.DS_Store"), "").expect("it is written");
    release(&world, "1.0.0", "release").run().expect_code(5);
    world.expect_no_staging();
}

/// Whatever file of it: its bytes count.
#[test]
fn a_flipped_byte_in_any_file_of_a_release_is_found_and_its_file_named() {
    let world = world();
    release(&world, "1.0.0", "release").run().expect_code(0);
    let root = world.path("release");
    let paths: Vec<String> = tree(&root).into_keys().filter(|path| !path.ends_with('/')).collect();
    assert_eq!(paths.len(), 15);
    for path in paths {
        let file = root.join(&path);
        let bytes = fs::read(&file).expect("it is there");
        // In a manifest the first letter of the title: it is JSON before and after.
        let at = match bytes.windows(10).position(|window| window == b"Flows of a") {
            Some(at) if path == "manifest.json" => at,
            _ => bytes.len() / 2,
        };
        flip(&file, at);
        let outcome = Program::new(["verify", "--json"]).arg(&root).run().expect_code(1);
        let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        let found = report["differences"].as_array().expect("a list");
        assert!(found.iter().any(|difference| difference["path"] == path.as_str()), "{path}: {found:?}");
        assert!(found.iter().all(|difference| difference["kind"] == "sha256"), "{path}: {found:?}");
        fs::write(&file, bytes).expect("it is written");
    }
    Program::new(["verify"]).arg(&root).run().expect_code(0);
}

#[test]
fn what_is_missing_or_too_much_in_a_release_is_found() {
    let world = world();
    release(&world, "1.0.0", "release").run().expect_code(0);
    let root = world.path("release");
    let check = |options: &[&str]| {
        let outcome = Program::new(["verify"]).arg(&root).args(options).run().expect_code(1);
        outcome.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    fs::write(root.join("notes.txt"), "mine").expect("it is written");
    fs::rename(root.join("README.md"), world.path("README.md")).expect("it moves");
    fs::rename(root.join("SHA256SUMS"), world.path("SHA256SUMS")).expect("it moves");
    for options in [&[][..], &["--quick"]] {
        let found = check(options);
        assert_eq!(found[0], "README.md: missing: it is a document of the release");
        assert_eq!(found[1], "SHA256SUMS: missing: a release has the digests of its files in it");
        assert_eq!(found[2], "notes.txt: stray: the manifest does not list it");
        assert_eq!(found.len(), 4);
    }
    fs::remove_file(root.join("notes.txt")).expect("it goes");
    // A name that would say something else on a terminal.
    fs::write(root.join("data/a\nverified: 1 file\u{1b}[2J"), "").expect("it is written");
    let found = check(&[]);
    assert_eq!(found[2], "data/a\\nverified: 1 file\\u{1b}[2J: stray: the manifest does not list it");
    fs::remove_file(root.join("data/a\nverified: 1 file\u{1b}[2J")).expect("it goes");
    fs::rename(world.path("README.md"), root.join("README.md")).expect("it moves");
    // A list that is right for other bytes is none.
    let sums = fs::read_to_string(world.path("SHA256SUMS")).expect("it is there");
    let (_, shorter) = sums.split_once('\n').expect("a line");
    fs::write(root.join("SHA256SUMS"), shorter).expect("it is written");
    assert_eq!(check(&[])[0], "SHA256SUMS: its line of CITATION.cff is not as manifest.json says");
}

#[test]
fn a_data_set_that_may_not_be_handed_on_needs_a_word_and_is_stamped() {
    let world = world();
    let text = fs::read_to_string(world.catalogue_path()).expect("it is there");
    world.set_catalogue(&text.replace("redistribution = true", "redistribution = false"));
    world.build().arg("--replace").run().expect_code(0);
    let outcome = release(&world, "1.0.0", "release").run().expect_code(2);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: the licence of test-set does not allow handing it on, as its catalogue says: CC0-1.0
    hint: for a release that stays where it is, give --acknowledge-licence; it will be stamped so
    ");
    assert!(!world.path("release").exists());
    let outcome = release(&world, "1.0.0", "release").arg("--acknowledge-licence").run().expect_code(0);
    assert!(outcome.stdout.ends_with("\nNot for redistribution: CC0-1.0\n"), "{}", outcome.stdout);
    for document in ["README.md", "LICENSE"] {
        let text = fs::read_to_string(world.path("release").join(document)).expect("it is there");
        assert!(text.contains("NOT FOR REDISTRIBUTION"), "{text}");
    }
    assert_eq!(manifest(&world.path("release"))["release"]["redistribution"], false);
}

#[test]
fn a_lake_that_is_not_what_its_manifest_says_is_not_released() {
    let world = world();
    let data = manifest(&world.path("lake"))["files"][0]["path"].as_str().expect("a path").to_owned();
    let path = world.path("lake").join(&data);
    flip(&path, 50);
    let outcome = release(&world, "1.0.0", "release").run().expect_code(1);
    let [message, hint] = outcome.stderr.lines().collect::<Vec<_>>()[..] else {
        panic!("{}", outcome.stderr)
    };
    let named = format!("error: [dir]/lake is not what its manifest says: {data}: SHA-256: expected ");
    assert!(message.starts_with(&named), "{message}");
    assert_eq!(hint, "hint: `flowlake verify` tells all that differs");
    flip(&path, 50);

    // Files as listed, and a manifest that says something else of them.
    let manifest_path = world.path("lake/manifest.json");
    let text = fs::read_to_string(&manifest_path).expect("it is there");
    fs::write(&manifest_path, text.replacen("\"name\": \"deviceName\"", "\"name\": \"device\"", 1))
        .expect("it is written");
    let outcome = release(&world, "1.0.0", "release").run().expect_code(1);
    assert!(outcome.stderr.contains("is not what its manifest says"), "{}", outcome.stderr);
    fs::write(&manifest_path, text).expect("it is written");

    fs::write(world.path("lake/data/stray"), "").expect("it is written");
    let outcome = release(&world, "1.0.0", "release").run().expect_code(1);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: [dir]/lake is not what its manifest says: data/stray: the manifest does not list it
    hint: `flowlake verify` tells all that differs
    ");
    assert!(!world.path("release").exists());
    world.expect_no_staging();
}

#[test]
fn what_cannot_be_released_is_refused_with_a_reason() {
    let world = world();
    release(&world, "1.0.0", "release").run().expect_code(0);
    let again = Program::new(["release", "--version", "1.0.1", "--output"]).arg(world.path("again"));
    let outcome = again.arg(world.path("release")).redact(world.root()).run().expect_code(2);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: [dir]/release is release 1.0.0 already
    hint: make a release of the lake that it was made of
    ");
    for (option, value) in
        [("--version", "1.0"), ("--version", "v1.0.0"), ("--date", "2026-02-30"), ("--date", "2026-02")]
    {
        let program = release(&world, "1.0.0", "again").args(["--date", "2026-01-01"]).with(option, value);
        let outcome = program.run().expect_code(2);
        assert!(outcome.stderr.contains(value), "{}", outcome.stderr);
    }

    // One of before the configuration was kept.
    let mut old = manifest(&world.path("lake"));
    old.as_object_mut().expect("an object").remove("configuration");
    fs::write(world.path("lake/manifest.json"), old.to_string()).expect("it is written");
    let outcome = release(&world, "1.0.0", "again").run().expect_code(2);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: [dir]/lake does not hold its configuration: it was built before lakes kept it
    hint: build it again with this version of flowlake
    ");
    // And one whose configuration would name a path of its own.
    let mut odd = manifest(&world.path("release"));
    odd.as_object_mut().expect("an object").remove("release");
    odd["dataset"]["name"] = "../../x".into();
    fs::write(world.path("lake/manifest.json"), odd.to_string()).expect("it is written");
    release(&world, "1.0.0", "again").run().expect_code(3);
    assert!(!world.path("again").exists());
}

/// As far apart as two machines can be on one.
#[test]
fn two_builds_and_releases_far_apart_have_the_same_bytes() {
    let world = world();
    let elsewhere = World::new();
    for name in ["hub.tar.gz", "lamp.tar.gz"] {
        elsewhere.add_dump(name, &fs::read(world.dumps().join(name)).expect("it is there"));
    }
    fs::copy(world.catalogue_path(), elsewhere.path("other name.toml")).expect("it is copied");
    release(&world, "1.0.0", "release").run().expect_code(0);
    let script = "umask 077; cd deep/er
        flowlake build --config '../../other name.toml' --input ../../dumps/. --output x/lake --jobs 5 --progress plain &&
        flowlake release x/lake --version 1.0.0 --output y --jobs 7";
    fs::create_dir_all(elsewhere.path("deep/er")).expect("a directory");
    let path = Path::new(BINARY).parent().expect("a directory").display();
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(elsewhere.root()).stdin(Stdio::null());
    command.env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap_or_default()));
    for (name, value) in [
        ("TZ", "Pacific/Kiritimati"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANG", "tr_TR.UTF-8"),
        ("USER", "somebody"),
    ] {
        command.env(name, value);
    }
    let output = command.env("HOME", elsewhere.root()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(tree(&elsewhere.path("deep/er/x/lake")) == tree(&world.path("lake")), "the lake has other bytes");
    assert!(
        tree(&elsewhere.path("deep/er/y")) == tree(&world.path("release")),
        "the release has other bytes"
    );
}
