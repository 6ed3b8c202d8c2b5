//! What a release hides, and what it says of that.

use fs_err as fs;

use super::{manifest, release, world};
use crate::integration::support::{DEVICE_MAC, OTHER_MAC, Program, ROUTER_MAC, tree};

#[test]
fn a_release_with_pseudonyms_is_rebuilt_with_its_key_and_its_catalogue() {
    let world = world();
    fs::write(world.path("key"), "0123456789abcdef\n").expect("it is written");
    let hidden = ["--mac", "hmac", "--ip", "ipcrypt-pfx", "--drop", "flowEndReason", "--key-file"];
    let outcome =
        release(&world, "1.0.0", "release").args(hidden).arg(world.path("key")).run().expect_code(0);
    assert_eq!(outcome.stderr, "");
    let root = world.path("release");
    Program::new(["verify"]).arg(&root).run().expect_code(0);
    let manifest = manifest(&root);
    let columns = manifest["schema"]["columns"].as_array().expect("a list");
    assert!(columns.iter().all(|column| column["name"] != "flowEndReason"));
    let files = tree(&root);
    assert!(!files.contains_key("rejected/") && !files.contains_key("config/test-set.toml"));
    let page = String::from_utf8(files["rebuild.md"].clone()).expect("text");
    assert!(page.contains("--mac hmac --ip ipcrypt-pfx --drop flowEndReason --key-file \"$KEY\""), "{page}");

    let rebuild = |options: &[&str]| {
        let verify =
            Program::new(["verify", "--rebuild-from"]).arg(world.dumps()).arg(&root).within(world.root());
        verify.args(options).redact(world.root()).run()
    };
    let outcome = rebuild(&[]).expect_code(2);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: [dir]/release does not hold its catalogue: it was withheld
    hint: give --config with it; whoever made the release has it
    ");
    let config = ["--config", "catalogue.toml"];
    let outcome = rebuild(&config).expect_code(2);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: [dir]/release has pseudonyms
    hint: give --key-file with the key they were made with
    ");
    fs::write(world.path("wrong"), "fedcba9876543210").expect("it is written");
    let outcome = rebuild(&[&config[..], &["--key-file", "wrong"]].concat()).expect_code(2);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: the key is not the one that the pseudonyms were made with
    hint: give the right --key-file
    ");
    let outcome = rebuild(&[&config[..], &["--key-file", "key"]].concat()).expect_code(0);
    assert!(outcome.stdout.ends_with("every file has the same bytes\n"), "{}", outcome.stdout);
}

#[test]
fn what_cannot_be_hidden_is_refused_with_a_reason() {
    let world = world();
    fs::write(world.path("key"), "0123456789abcdef").expect("it is written");
    fs::write(world.path("short"), "secret").expect("it is written");
    let refuse = |options: &[&str]| {
        let command = world.about_lake("release").args(["--version", "1.0.0", "--output", "release"]);
        let outcome = command.args(options).within(world.root()).run().expect_code(2);
        assert!(!world.path("release").exists());
        outcome.stderr
    };
    insta::assert_snapshot!(refuse(&["--mac", "hmac"]), @r"
    error: pseudonyms need a key
    hint: give --key-file FILE; `head -c 32 /dev/urandom` makes a key
    ");
    insta::assert_snapshot!(refuse(&["--mac", "drop", "--key-file", "key"]), @r"
    error: there is a key, but nothing that was asked for needs one
    hint: leave out --key-file, or give --mac hmac, --ip hmac or --ip ipcrypt-pfx
    ");
    insta::assert_snapshot!(refuse(&["--mac", "hmac", "--key-file", "short"]), @r"
    error: short is no key
    caused by: the key has 6 bytes: it must have at least 16
    hint: `head -c 32 /dev/urandom` makes one; keep it where the release does not go
    ");
    insta::assert_snapshot!(refuse(&["--drop", "portt"]), @r"
    error: the lake has no column portt to leave out
    hint: `flowlake inspect` lists the columns of the lake
    ");
    insta::assert_snapshot!(refuse(&["--drop", "flowStartMilliseconds"]), @"error: column flowStartMilliseconds cannot be left out: it says when a flow began, and so in which month it lies");
}

#[test]
fn addresses_are_hidden_wherever_they_are_and_told_where_they_stay() {
    let world = world();
    let text = fs::read_to_string(world.catalogue_path()).expect("it is there");
    let text = text.replace("Nobody: Nothing.", "Nobody at 192.0.2.77: Nothing.");
    world.set_catalogue(&text);
    world.build().args(["--recipe", "encoded", "--replace"]).run().expect_code(0);
    let outcome =
        release(&world, "1.0.0", "release").args(["--mac", "drop", "--ip", "drop"]).run().expect_code(0);
    insta::assert_snapshot!(outcome.stderr, @"warning: 192.0.2.77 is in CITATION.cff, README.md, croissant.json, datapackage.json, and so in manifest.json: a text of the catalogue or of the recipe names it");
    for (path, bytes) in tree(&world.path("release")) {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for mac in [DEVICE_MAC, OTHER_MAC, ROUTER_MAC] {
            assert!(!text.contains(mac), "{mac} in {path}");
        }
    }
    release(&world, "1.0.0", "mac").args(["--mac", "drop"]).run().expect_code(0);
    let card = fs::read_to_string(world.path("mac/README.md")).expect("it is there");
    let identifiers = card.split("### Identifiers").nth(1).and_then(|rest| rest.split("\n## ").next());
    insta::assert_snapshot!(identifiers.expect("a section").trim(), @r"
    No column holds such addresses. Where configuration and counts told them, they are withheld or replaced.

    Lines that were rejected are counted, but not part of this release.
    ");
    let outcome = release(&world, "1.0.0", "ip").args(["--ip", "drop"]).run().expect_code(0);
    assert!(
        outcome.stderr.contains("the catalogue names what looks like an IP address: its text is withheld"),
        "{}",
        outcome.stderr
    );
}
