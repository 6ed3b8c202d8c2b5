//! Catalogues that cannot be used: exit 2, naming the file and the line.

use fs_err as fs;

use super::support::{DEVICE_MAC, DumpText, Flow, OTHER_MAC, World, catalogue, device};

fn one(entry: &str) -> String {
    catalogue("", &[entry.to_owned()])
}

fn hub() -> String {
    device("hub", "iotGatewayHub", DEVICE_MAC)
}

/// What a build with this catalogue says; `line` is the text of the line that must be named.
#[track_caller]
fn refuse(text: &str, line: Option<&str>) -> String {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.set_catalogue(text);
    let outcome = world.refused(2, &[]);
    assert_eq!(outcome.stdout, "");
    let (place, message) =
        outcome.stderr.split_once(": ").and_then(|(_, rest)| rest.split_once(": ")).expect("a place");
    let number = line.map(|line| {
        // The last one: of two entries the second is too many.
        text.lines().collect::<Vec<_>>().iter().rposition(|found| *found == line).expect("a line of it") + 1
    });
    let expected =
        number.map_or("[dir]/catalogue.toml".to_owned(), |number| format!("[dir]/catalogue.toml:{number}"));
    assert_eq!(place, expected, "{}", outcome.stderr);
    message.trim_end().to_owned()
}

#[test]
fn a_device_listed_twice_is_refused() {
    let second =
        device("hub", "iotGatewayHub", OTHER_MAC).replace("archive = \"hub\"", "archive = \"other\"");
    insta::assert_snapshot!(refuse(&one(&(hub() + &second)), Some("name = \"hub\"")), @"device `hub` is listed twice");
}

#[test]
fn names_that_differ_in_case_alone_are_the_same_device() {
    let second =
        device("HUB", "iotGatewayHub", OTHER_MAC).replace("archive = \"HUB\"", "archive = \"other\"");
    insta::assert_snapshot!(refuse(&one(&(hub() + &second)), Some("name = \"HUB\"")), @"device `HUB` is listed twice");
}

#[test]
fn an_archive_listed_twice_is_refused() {
    let second = device("lamp", "lighting", OTHER_MAC).replace("archive = \"lamp\"", "archive = \"hub\"");
    insta::assert_snapshot!(refuse(&one(&(hub() + &second)), Some("archive = \"hub\"")), @"archive `hub` is listed twice");
}

#[test]
fn a_bad_mac_address_is_refused() {
    for bad in
        ["02:00:00:00:00", "02:00:00:00:00:0g", "02:00:00:00:00:01:", "020000000001", "", "02:00-00:00:00:01"]
    {
        let line = format!("mac = \"{bad}\"");
        let message = refuse(&one(&hub().replace(&format!("mac = \"{DEVICE_MAC}\""), &line)), Some(&line));
        assert_eq!(message, format!("`{bad}` is no MAC address: expected aa:bb:cc:dd:ee:ff"));
    }
}

#[test]
fn a_mac_address_may_be_upper_case_or_hyphenated() {
    let world =
        World::with_hub(&DumpText::of([Flow::new().between("02:00:00:00:00:AB", "02:00:00:00:00:fe")]));
    world.set_catalogue(&one(&hub().replace(DEVICE_MAC, "02-00-00-00-00-AB")));
    assert_eq!(world.built().row()["IoTMacAddress"], "02:00:00:00:00:ab");
}

#[test]
fn a_bad_class_slug_is_refused() {
    for bad in ["", "a/b", "../x", "smart speaker", "-x", ".x", "a=b", "Türschloss", "a\\\\b"] {
        let line = format!("class = \"{bad}\"");
        let message = refuse(&one(&hub().replace("class = \"iotGatewayHub\"", &line)), Some(&line));
        assert!(message.contains("class `") && message.contains("is no slug"), "{message}");
    }
}

#[test]
fn a_bad_device_name_or_archive_is_refused() {
    let line = "name = \"the hub\"";
    let message = refuse(&one(&hub().replace("name = \"hub\"", line)), Some(line));
    assert!(message.starts_with("device name `the hub` is no slug"), "{message}");
    for bad in ["../hub", "/hub", "", ".hub"] {
        let line = format!("archive = \"{bad}\"");
        let message = refuse(&one(&hub().replace("archive = \"hub\"", &line)), Some(&line));
        assert_eq!(message, format!("archive `{bad}` is no file stem"));
    }
}

#[test]
fn an_unknown_key_is_refused_wherever_it_stands() {
    let message = refuse(&one(&(hub() + "colour = \"white\"\n")), Some("colour = \"white\""));
    insta::assert_snapshot!(message, @"unknown field `colour`, expected one of `name`, `title`, `class`, `class_title`, `mac`, `archive`, `published_records`, `parts`");
    let message = refuse(&one(&hub()).replace("[dataset]", "[dataset]\nyear = 2019"), Some("year = 2019"));
    insta::assert_snapshot!(message, @"unknown field `year`, expected one of `name`, `title`, `licence`, `redistribution`, `licence_url`, `description`, `creators`, `citation`, `url`");
    let message = refuse(&catalogue("[limits]\nmax_lines = 3\n", &[hub()]), Some("max_lines = 3"));
    insta::assert_snapshot!(message, @"unknown field `max_lines`, expected one of `max_rejected_share`, `max_rejected_lines`, `max_rejected_bytes`, `max_months`, `max_line_bytes`, `max_decompressed_bytes`, `max_archive_entries`");
    let message = refuse(&(one(&hub()) + "\n[outputs]\n"), Some("[outputs]"));
    insta::assert_snapshot!(message, @"unknown field `outputs`, expected one of `dataset`, `limits`, `device`");
}

#[test]
fn a_missing_key_and_a_wrong_type_are_refused() {
    let message = refuse(&one(&hub().replace(&format!("mac = \"{DEVICE_MAC}\"\n"), "")), Some("[[device]]"));
    insta::assert_snapshot!(message, @"missing field `mac`");
    let message =
        refuse(&one(&(hub() + "published_records = \"many\"\n")), Some("published_records = \"many\""));
    insta::assert_snapshot!(message, @r#"invalid type: string "many", expected u64"#);
    let message = refuse(&one(&(hub() + "parts = 0\n")), Some("parts = 0"));
    insta::assert_snapshot!(message, @"`parts` must be 1 to 1000");
}

#[test]
fn a_limit_that_makes_no_sense_is_refused() {
    for limit in [
        "max_rejected_share = 1.5",
        "max_line_bytes = 10",
        "max_decompressed_bytes = 0",
        "max_archive_entries = 0",
    ] {
        refuse(&catalogue(&format!("[limits]\n{limit}\n"), &[hub()]), Some("[limits]"));
    }
}

#[test]
fn a_catalogue_without_devices_is_refused() {
    insta::assert_snapshot!(refuse(&catalogue("", &[]), None), @"no [[device]] is listed");
}

#[test]
fn what_is_no_toml_is_refused() {
    let message = refuse(&(one(&hub()) + "name = \n"), Some("name = "));
    insta::assert_snapshot!(message, @"string values must be quoted, expected literal string");
}

#[test]
fn a_catalogue_that_is_not_there_is_named_with_the_built_in_ones() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    fs::remove_file(world.catalogue_path()).expect("it goes");
    let outcome = world.refused(2, &[]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: failed to open file `[dir]/catalogue.toml`: No such file or directory (os error 2)
    hint: give the path of a file; built-in catalogues: kddi-iot-2019
    ");
}

#[test]
fn the_old_lake_is_untouched_by_a_catalogue_that_cannot_be_used() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.built();
    let before = super::support::tree(&world.path("lake"));
    world.set_catalogue("nonsense");
    world.build().arg("--replace").run().expect_code(2);
    assert_eq!(super::support::tree(&world.path("lake")), before);
    world.expect_no_staging();
}

#[test]
fn the_built_in_catalogue_lists_the_25_devices() {
    let world = World::new();
    let program =
        super::support::Program::new(["build", "--config", "kddi-iot-2019", "--device", "nobody", "--input"]);
    let outcome = program.arg(world.dumps()).arg("--output").arg(world.path("lake")).run().expect_code(2);
    let (_, devices) = outcome.stderr.split_once("hint: devices are: ").expect("a hint");
    assert_eq!(devices.split(", ").count(), 25, "{devices}");
    assert!(devices.contains("mouseComputerRoomHub"));
}

#[test]
fn a_class_that_would_not_be_read_as_text_is_refused() {
    for bad in ["true", "False", "null", "NaN", "infinity", "2019", "2019-06-01", "1e5"] {
        let line = format!("class = \"{bad}\"");
        let message = refuse(&one(&hub().replace("class = \"iotGatewayHub\"", &line)), Some(&line));
        assert!(message.starts_with(&format!("class `{bad}` would not be read as text")), "{message}");
    }
}
