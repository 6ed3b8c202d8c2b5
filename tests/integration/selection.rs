//! Building a part of the input: `--device`, `--class`, `--from`, `--to`.

use serde_json::{Value, json};

use super::support::{DEVICE_MAC, DumpText, Flow, OTHER_MAC, World, catalogue, device, pack};

/// A flow at the last millisecond of each month and one at the first of the next, and a device of another class.
fn world() -> World {
    let world = World::new();
    world.set_catalogue(&catalogue(
        "",
        &[device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)],
    ));
    let at = |start: &str, end: &str| Flow::new().times(start, end, 1);
    let dump = DumpText::of([
        at("2019-06-30 23:59:59.999", "2019-07-01 00:00:00.000"),
        at("2019-07-01 00:00:00.000", "2019-07-01 00:00:00.001"),
        at("2019-07-31 23:59:59.999", "2019-08-01 00:00:00.000"),
        at("2019-08-01 00:00:00.000", "2019-08-01 00:00:00.001"),
        Flow::inbound(),
    ]);
    for name in ["hub", "lamp"] {
        world.add_dump(&format!("{name}.tar.gz"), &pack::tar_gz(name, dump.bytes()));
    }
    world
}

#[test]
fn a_range_of_times_includes_its_start_and_not_its_end_and_adds_up() {
    let world = world();
    let options = ["--device", "hub", "--from", "2019-07", "--to", "2019-08-01"];
    for recipe in ["flows", "encoded", "full"] {
        world.build().args(["--replace", "--recipe", recipe]).args(options).run().expect_code(0);
        let lake = world.lake();
        let removed = &lake.accounting()["removed"];
        assert_eq!(removed["before --from 2019-07-01T00:00:00.000Z"], 1, "{recipe}");
        assert_eq!(removed["not before --to 2019-08-01T00:00:00.000Z"], 1, "{recipe}");
        assert_eq!(lake.accounting()["read"], 5);
        let kept = if recipe == "full" { 3 } else { 2 };
        assert_eq!(lake.accounting()["kept"], kept, "{recipe}");
        assert_eq!(lake.files().len(), 1, "all of one month");
        let asked = json!({
            "devices": ["hub"],
            "from": "2019-07-01T00:00:00.000Z",
            "to": "2019-08-01T00:00:00.000Z",
        });
        assert_eq!(lake.manifest["selection"], asked);
    }
    let shown = world.about_lake("inspect").run().expect_code(0).stdout;
    assert!(shown.contains("only      devices hub"), "{shown}");
    assert!(shown.contains("only      flows that started before 2019-08-01T00:00:00.000Z"), "{shown}");
}

#[test]
fn without_a_selection_the_manifest_says_nothing_of_one() {
    let world = world();
    assert_eq!(world.built().manifest.get("selection"), None::<&Value>);
}

#[test]
fn a_time_may_be_told_to_the_millisecond() {
    let world = world();
    let options = ["--class", "lighting", "--from", "2019-07-31T23:59:59.999Z", "--recipe", "full"];
    world.build().args(options).run().expect_code(0);
    let lake = world.lake();
    assert_eq!(lake.source()["device"], "lamp");
    assert_eq!(lake.column("flowStartMilliseconds"), [1_564_617_599_999_i64, 1_564_617_600_000]);
    assert_eq!(lake.manifest["selection"]["classes"], json!(["lighting"]));
    assert_eq!(lake.warnings(), Vec::<&str>::new(), "whoever asks for a class knows that there are others");
}

#[test]
fn selections_that_cannot_be_are_refused() {
    let world = world();
    let says = |options: &[&str]| world.build().args(options).run().expect_code(2).stderr;
    insta::assert_snapshot!(says(&["--class", "toaster"]), @r"
    error: the catalogue has no class `toaster`
    hint: classes are: iotGatewayHub, lighting
    ");
    insta::assert_snapshot!(says(&["--class", "lighting", "--device", "hub"]), @"error: no device asked for is of a class asked for");
    insta::assert_snapshot!(says(&["--from", "2019-08", "--to", "2019-08-01"]), @r"
    error: no flow starts from 2019-08-01T00:00:00.000Z and before 2019-08-01T00:00:00.000Z
    hint: --from is the earlier of the two
    ");
    insta::assert_snapshot!(says(&["--from", "1.8.2019"]), @r"
    error: invalid value '1.8.2019' for '--from <TIME>': expected a time in UTC such as 2019-07, 2019-07-01 or 2019-07-01T12:30:00.000Z

    For more information, try '--help'.
    ");
    world.expect_nothing_published();
}
