//! Which dump is whose: by archive stem, and what happens to those that are nobody's.

use super::support::{DEVICE_MAC, DumpText, Flow, OTHER_MAC, World, catalogue, device, pack};

/// Devices `hub` and `lamp`, both with a dump of one flow of their own.
fn hub_and_lamp() -> World {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.set_catalogue(&catalogue(
        "",
        &[device("lamp", "lighting", OTHER_MAC), device("hub", "iotGatewayHub", DEVICE_MAC)],
    ));
    world.add_dump("lamp.tar.gz", &pack::tar_gz("lamp", DumpText::of([lamp_flow()]).bytes()));
    world
}

fn lamp_flow() -> Flow {
    Flow::new().between(OTHER_MAC, DEVICE_MAC)
}

#[test]
fn dumps_are_matched_to_devices_by_archive_stem() {
    let lake = hub_and_lamp().built();
    let sources: Vec<_> =
        lake.list("sources").iter().map(|source| source["dump"].as_str().expect("a dump")).collect();
    assert_eq!(sources, ["hub", "lamp"]);
    let files = [
        "data/month=2019-07/deviceClass=iotGatewayHub/hub-00000.parquet",
        "data/month=2019-07/deviceClass=lighting/lamp-00000.parquet",
    ];
    assert_eq!(lake.files_without_digests(), files);
    assert_eq!(lake.column("deviceName"), ["hub", "lamp"]);
}

#[test]
fn the_label_is_the_dumps_also_where_two_dumps_hold_the_same_mac() {
    // A hub and the sensor behind it: one MAC address, two dumps.
    let world = hub_and_lamp();
    world.set_catalogue(&catalogue(
        "",
        &[device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "sensor", DEVICE_MAC)],
    ));
    world.add_dump(
        "lamp.tar.gz",
        &pack::tar_gz("lamp", DumpText::of([Flow::numbered(5), Flow::numbered(6)]).bytes()),
    );
    let lake = world.built();
    assert_eq!(lake.column("deviceName"), ["hub", "lamp", "lamp"]);
}

#[test]
fn an_archive_that_no_device_matches_is_a_warning_and_an_error_with_strict() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.add_dump("toaster.tar.gz", &pack::tar_gz("toaster", DumpText::of([Flow::new()]).bytes()));
    let outcome = world.build().run().expect_code(0);
    insta::assert_snapshot!(outcome.stderr, @"warning: dump toaster belongs to no device of the catalogue and is not built");
    let lake = world.lake();
    assert_eq!(lake.warnings(), ["dumpWithoutDevice"]);
    assert_eq!(lake.list("warnings")[0]["subject"], "toaster");
    assert_eq!(lake.list("sources").len(), 1, "it is not built");

    let strict = World::with_hub(&DumpText::of([Flow::new()]));
    strict.add_dump("toaster.json", DumpText::of([Flow::new()]).bytes());
    let outcome = strict.refused(3, &["--strict"]);
    insta::assert_snapshot!(outcome.stderr, @r"
    warning: dump toaster belongs to no device of the catalogue and is not built
    error: --strict: nothing was published
    dump toaster belongs to no device of the catalogue and is not built
    hint: without --strict these are warnings
    ");
}

#[test]
fn a_device_without_an_archive_is_a_warning_and_an_error_with_strict() {
    let world = hub_and_lamp();
    fs_err::remove_file(world.dumps().join("lamp.tar.gz")).expect("it goes");
    let outcome = world.build().run().expect_code(0);
    insta::assert_snapshot!(outcome.stderr, @"warning: device lamp has no dump: no lamp.tar.gz or the like");
    let lake = world.lake();
    assert_eq!(lake.warnings(), ["deviceWithoutDump"]);
    assert_eq!(lake.list("warnings")[0]["subject"], "lamp");
    fs_err::remove_dir_all(world.path("lake")).expect("it goes");
    let outcome = world.refused(3, &["--strict"]);
    insta::assert_snapshot!(outcome.stderr, @r"
    warning: device lamp has no dump: no lamp.tar.gz or the like
    error: --strict: nothing was published
    device lamp has no dump: no lamp.tar.gz or the like
    hint: without --strict these are warnings
    ");
}

#[test]
fn single_devices_can_be_built() {
    let world = hub_and_lamp();
    world.build().args(["--device", "lamp"]).run().expect_code(0);
    let lake = world.lake();
    assert_eq!(lake.column("deviceName"), ["lamp"]);
    assert_eq!(
        lake.warnings(),
        Vec::<&str>::new(),
        "whoever asks for one device knows that there are others"
    );
    world.build().args(["--device", "lamp", "--device", "hub", "--replace", "--strict"]).run().expect_code(0);
    assert_eq!(world.lake().column("deviceName"), ["hub", "lamp"]);
}

#[test]
fn a_single_device_builds_although_the_dump_of_another_is_damaged_or_incomplete() {
    let world = hub_and_lamp();
    world.add_dump("hub.tar.gz", b"damaged");
    world.build().args(["--device", "lamp"]).run().expect_code(0);
    fs_err::remove_file(world.dumps().join("hub.tar.gz")).expect("it goes");
    world.add_dump("hub.tar.gz01", b"the first part is missing");
    world.build().args(["--device", "lamp", "--replace"]).run().expect_code(0);
}

#[test]
fn a_device_the_catalogue_does_not_have_is_wrong_usage() {
    let world = hub_and_lamp();
    let outcome = world.refused(2, &["--device", "Lamp"]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: the catalogue has no device `Lamp`
    hint: devices are: lamp, hub
    ");
}

#[test]
fn a_device_asked_for_whose_dump_is_not_there_cannot_be_built() {
    let world = hub_and_lamp();
    fs_err::remove_file(world.dumps().join("lamp.tar.gz")).expect("it goes");
    world.refused(3, &["--device", "lamp"]).expect_says(["no dump of a device"]);
}

#[test]
fn stems_are_compared_exactly() {
    let world = World::new();
    let entries = [
        device("a", "x", DEVICE_MAC).replace("archive = \"a\"", "archive = \"one_shot!\""),
        device("b", "x", DEVICE_MAC).replace("archive = \"b\"", "archive = \"wi-fi.v2\""),
        device("c", "x", DEVICE_MAC).replace("archive = \"c\"", "archive = \"hub\""),
        device("d", "x", DEVICE_MAC).replace("archive = \"d\"", "archive = \"hub2\""),
    ];
    world.set_catalogue(&catalogue("", &entries));
    for (i, (name, stem)) in [
        ("one_shot!.tar.gz", "one_shot!"),
        ("wi-fi.v2.tar.gz", "wi-fi.v2"),
        ("hub.tgz", "hub"),
        ("hub2.tar.gz00", "hub2"),
    ]
    .into_iter()
    .enumerate()
    {
        world.add_dump(name, &pack::tar_gz(stem, DumpText::of([Flow::numbered(i as u64)]).bytes()));
    }
    let lake = world.built();
    assert_eq!(lake.column("deviceName"), ["a", "b", "c", "d"]);
    assert_eq!(lake.column("IoTTransportPort"), [50_000, 50_001, 50_002, 50_003]);
}
