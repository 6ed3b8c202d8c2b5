//! Real dumps, where there are any. They may not be handed out: these tests say that they were skipped without them, and
//! nothing of a row stands here.

use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Value, json};

use super::support::{Lake, Program, World, catalogue, skipped};

/// A file or directory of the real data, if it is there.
fn real_data(below: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("FLOWLAKE_REAL_DATA").map_or_else(beside, PathBuf::from).join(below);
    if !path.exists() {
        skipped(&format!("no {}", path.display()));
        return None;
    }
    Some(path)
}

#[track_caller]
fn build(config: &Path, input: &Path, lake: &Path, options: &[&str]) -> Lake {
    Program::new(["build", "--strict", "--progress", "none", "--config"])
        .arg(config)
        .arg("--input")
        .arg(input)
        .arg("--output")
        .arg(lake)
        .args(options)
        .run()
        .expect_code(0);
    Program::new(["verify"]).arg(lake).run().expect_code(0);
    Lake::open(lake)
}

/// What FORMAT says of every real dump, looked at in every row.
#[track_caller]
fn check_rows(lake: &Lake) {
    for row in lake.rows() {
        let text = |name: &str| row[name].as_str().expect(name).to_owned();
        let number = |name: &str| row[name].as_i64().expect(name);
        let duration = number("flowEndMilliseconds") - number("flowStartMilliseconds");
        assert_eq!(number("flowDurationMilliseconds"), duration);
        assert!((0..=duration).contains(&number("reverseFlowDeltaMilliseconds")), "{row:?}");
        let (device, server) = (text("IoTIPAddress"), text("serverIPAddress"));
        assert_eq!(device.contains(':'), server.contains(':'), "both ends speak the same version");
        for address in [device, server] {
            let canonical = address.parse::<std::net::IpAddr>().expect("an address").to_string();
            assert_eq!(address, canonical);
        }
        assert!(!text("flowEndReason").is_empty());
        assert_eq!(row["reverseSmallPacketCount"].is_null(), number("reversePacketTotalCount") == 0);
        if let (Some(bytes), Some(packets)) =
            (row["dataByteCount"].as_i64(), row["nonEmptyPacketCount"].as_i64())
        {
            assert_eq!(row["bytesPerPacket"].as_i64(), bytes.checked_div(packets));
        }
    }
}

#[test]
fn the_hub_of_kddi_iot_2019_builds_to_its_published_totals() {
    let Some(input) = real_data("kddi-iot-2019") else {
        return;
    };
    let world = World::new();
    let only = ["--device", "mouseComputerRoomHub"];
    let lake = build(Path::new("kddi-iot-2019"), &input, &world.path("lake"), &only);
    let source = lake.source();
    assert_eq!(source["records"], json!({"flows": 16_932, "stats": 1, "tombstone": 1, "other": 0}));
    assert_eq!(source["trailer"], json!({"flows": 16_932, "packets": 2_472_780, "matches": true}));
    let removed = json!({"toDevice": 55, "neither": 0});
    let expected = json!({"read": 16_932, "kept": 16_877, "removed": removed, "rejected": 0});
    assert_eq!(lake.accounting(), expected);
    assert!(!lake.warnings().contains(&"publishedCountDiffers"), "{:?}", lake.warnings());
    let months: Vec<&str> =
        lake.list("files").iter().map(|file| file["month"].as_str().expect("a month")).collect();
    assert_eq!(months, ["2019-06", "2019-07", "2019-08", "2019-09", "2019-10"]);
    check_rows(&lake);
}

#[test]
fn the_hub_of_kddi_iot_2019_gives_the_same_bytes_with_any_number_of_threads() {
    let Some(input) = real_data("kddi-iot-2019") else {
        return;
    };
    let world = World::new();
    let mut trees = ["1", "2", "4"].iter().map(|jobs| {
        let lake = world.path(jobs);
        build(
            Path::new("kddi-iot-2019"),
            &input,
            &lake,
            &["--device", "mouseComputerRoomHub", "--jobs", jobs],
        );
        super::support::tree(&lake)
    });
    let first = trees.next().expect("three");
    assert!(trees.all(|tree| tree == first));
}

#[test]
fn all_devices_of_the_iot_sentinel_captures_build() {
    let Some(input) = real_data("iot-sentinel") else {
        return;
    };
    let world = World::new();
    let csv = fs::read_to_string(input.join("devices.csv")).expect("a list of devices");
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let devices: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let value = |device: &[&str], column: &str| {
        device[header.iter().position(|name| *name == column).expect("a column")].to_owned()
    };
    let entries: Vec<String> = devices
        .iter()
        .map(|device| {
            let entry = super::support::device(
                &value(device, "device"),
                &value(device, "category"),
                &value(device, "mac"),
            );
            format!(
                "{entry}published_records = {}\nparts = {}\n",
                value(device, "flows"),
                value(device, "archive_parts")
            )
        })
        .collect();
    assert_eq!(entries.len(), 13);
    world.set_catalogue(&catalogue("", &entries));
    let lake = build(&world.catalogue_path(), &input, &world.path("lake"), &[]);
    assert_eq!(lake.list("sources").len(), 13);
    for device in &devices {
        let name = value(device, "device");
        let source = lake.list("sources").iter().find(|source| source["dump"] == *name).expect("a source");
        let number = |column: &str| json!(value(device, column).parse::<u64>().expect("a number"));
        assert_eq!(source["read"], number("flows"), "{name}");
        assert_eq!(
            source["trailer"],
            json!({"flows": number("flows"), "packets": number("flow_packets"), "matches": true})
        );
        assert_eq!(source["rejected"], 0, "{name}");
        let with_device =
            ["fromDevice", "toDevice", "both"].iter().filter_map(|way| source["directions"][way].as_u64());
        assert_eq!(json!(with_device.sum::<u64>()), number("mac_flows"), "{name}");
        assert_eq!(
            source["parts"].as_array().map(Vec::len),
            Some(value(device, "archive_parts").parse().expect("a number"))
        );
    }
    assert!(!lake.list("warnings").iter().any(|warning: &Value| warning["kind"] == "publishedCountDiffers"));
    let macs: Vec<String> = devices.iter().map(|device| value(device, "mac")).collect();
    assert!(
        macs.iter().any(|mac| macs.iter().filter(|other| *other == mac).count() == 2),
        "two share a MAC address"
    );
    check_rows(&lake);
}
