//! Exact duplicates: all raw fields equal, anywhere in the dump, whatever the threads.

use fs_err as fs;
use serde_json::json;

use super::support::{DEVICE_MAC, DumpText, Flow, World, catalogue, device, pack, tree};

const ENCODED: &str = include_str!("../../config/recipes/encoded.toml");

/// Flows in lines of about 400 KB, so that a chunk of 8 MiB holds some twenty of them. Every tenth is like one far before.
fn long_lines() -> DumpText {
    let flow = |number: u64| {
        let start = format!("2019-{:02}-15 10:00:00.000", 5 + number % 3);
        Flow::numbered(number).starting(&start).text("padding", &"long ".repeat(80_000))
    };
    let numbers = (0..90).map(|number| if number % 10 == 9 { number / 10 } else { number });
    DumpText::of(numbers.map(flow))
}

#[test]
fn duplicates_are_found_across_chunks_and_threads_change_nothing() {
    let world = World::new();
    world.add_dump("hub.json", long_lines().bytes());
    let mut trees = Vec::new();
    for jobs in ["1", "4"] {
        world
            .build_to(&format!("lake-{jobs}"))
            .args(["--recipe", "encoded"])
            .with("--jobs", jobs)
            .run()
            .expect_code(0);
        trees.push(tree(&world.path(&format!("lake-{jobs}"))));
    }
    assert!(trees[0] == trees[1], "the lakes differ");
    fs::rename(world.path("lake-4"), world.path("lake")).expect("it moves");
    let lake = world.lake();
    let expected = json!({
        "read": 90,
        "kept": 81,
        "removed": {"toDevice": 0, "neither": 0, "duplicate": 9, "incomplete": 0, "outlier": 0},
        "rejected": 0,
    });
    assert_eq!(lake.accounting(), expected);
    // The first of each stays: what is left is in the order of the dump.
    for file in lake.files() {
        let octets: Vec<i64> = lake
            .frame(&file)
            .column("octetTotalCount")
            .expect("a column")
            .i64()
            .expect("integers")
            .iter()
            .flatten()
            .collect();
        assert!(octets.is_sorted(), "{octets:?}");
    }
    assert_eq!(lake.list("droppedColumns")[0]["evidence"]["rows"], 81, "evidence is of the rows kept");
    assert_eq!(lake.repaired("durationMilliseconds"), 81, "repairs are of the rows kept");
}

#[test]
fn duplicates_are_equal_in_all_fields_and_what_is_no_field_does_not_count() {
    let flow = Flow::new();
    let turned = {
        let fields: Vec<String> =
            flow.fields().iter().rev().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
        format!("{{\"flows\": {{{}}}}}", fields.join(", "))
    };
    let dump = DumpText::default()
        .flow(&flow)
        // The same in another spelling, order of keys, and with a key that is no field.
        .spelled(&flow, turned)
        .flow(&flow.clone().raw("vlanId", "\"0x0\""))
        .flow(&flow.clone().text("comment", "new"))
        // Others, though the lake does not show it: fields that are not columns differ, or are not there.
        .flow(&flow.clone().text("tcpSequenceNumber", "0x1a2b3c4e"))
        .flow(&flow.clone().without("vlanId"))
        .flow(&flow.clone().without("bytesPerPacket"))
        .flow(&flow.clone().text("collectorName", "C2"))
        .trailer();
    let world = World::with_hub(&dump);
    world.build().args(["--recipe", "encoded"]).run().expect_code(0);
    let lake = world.lake();
    assert_eq!(lake.accounting()["removed"]["duplicate"], 3);
    assert_eq!(lake.accounting()["kept"], 5);
}

#[test]
fn a_rule_about_duplicates_that_stands_first_counts_first() {
    let (head, rest) = ENCODED.split_once("[[filter]]\nrule = \"toDevice\"").expect("the first rule");
    let duplicate = "[[filter]]\nrule = \"duplicate\"\nremove = { duplicates = \"raw\" }\n";
    let (before, after) = rest.split_once(duplicate).expect("the rule");
    let recipe = format!(
        "{head}{duplicate}\n[[filter]]\nrule = \"toDevice\"{before}[[filter]]\nrule = \"none\"\nremove = {{ column = \"flowEndReason\", in = [\"none\"] }}\n{after}"
    );
    let flows = [Flow::inbound(), Flow::new(), Flow::inbound(), Flow::new(), Flow::inbound()];
    let world = World::with_hub(&DumpText::of(flows));
    fs::write(world.path("first.toml"), recipe).expect("it is written");
    world.build().arg("--recipe").arg(world.path("first.toml")).run().expect_code(0);
    let lake = world.lake();
    let expected =
        json!({"duplicate": 3, "toDevice": 1, "neither": 0, "none": 0, "incomplete": 0, "outlier": 0});
    assert_eq!(lake.accounting()["removed"], expected);
    assert_eq!(lake.source()["directions"]["toDevice"], 3);
}

#[test]
fn dumps_do_not_share_duplicates() {
    let world = World::new();
    world.set_catalogue(&catalogue(
        "",
        &[device("hub", "iotGatewayHub", DEVICE_MAC), device("sensor", "sensor", DEVICE_MAC)],
    ));
    let dump = DumpText::of([Flow::new(), Flow::new()]);
    for name in ["hub", "sensor"] {
        world.add_dump(&format!("{name}.tar.gz"), &pack::tar_gz(name, dump.bytes()));
    }
    world.build().args(["--recipe", "encoded"]).run().expect_code(0);
    let lake = world.lake();
    for source in lake.list("sources") {
        assert_eq!((&source["kept"], &source["removed"][2]["rows"]), (&json!(1), &json!(1)));
    }
}
