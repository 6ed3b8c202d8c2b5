//! Every line is accounted for: rows read are rows kept, removed and rejected, whatever happens to the lines.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::support::oracle::{self, Meaning};
use super::support::{DEVICE_MAC, DumpText, Flow, OTHER_MAC, ROUTER_MAC, World, cases, catalogue, device};

/// The other way a line of a dump may come to us.
#[derive(Debug, Clone)]
enum Fate {
    Whole,
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Noise(Vec<u8>),
}

fn any_line() -> impl Strategy<Value = (Flow, Fate)> {
    let flow = prop::sample::select(vec![
        Flow::new(),
        Flow::inbound(),
        Flow::new().between(OTHER_MAC, ROUTER_MAC),
        Flow::new().between(DEVICE_MAC, DEVICE_MAC),
        Flow::new().unanswered().starting("2019-08-31 23:59:59.000"),
    ]);
    let fate = prop_oneof![
        6 => Just(Fate::Whole),
        3 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Fate::Flip(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Fate::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..80).prop_map(Fate::Noise),
    ];
    (flow, 0_u64..5000, fate).prop_map(|(flow, number, fate)| (flow.number("octetTotalCount", number), fate))
}

fn spelled(flow: &Flow, fate: &Fate) -> Vec<u8> {
    let mut line = flow.line().into_bytes();
    match fate {
        Fate::Whole => {}
        Fate::Flip(at, byte) => {
            let at = at.index(line.len());
            line[at] = *byte;
        }
        Fate::Cut(at) => line.truncate(at.index(line.len())),
        Fate::Noise(bytes) => bytes.clone_into(&mut line),
    }
    line
}

/// What identifies a row here.
fn key(octets: &Value, port: &Value, start: &Value) -> String {
    format!("{octets} {port} {start}")
}

fn is_device(row: &Map<String, Value>, field: &str) -> bool {
    let written = row[field].as_str().unwrap_or_default();
    written.trim_end_matches(':').replace('-', ":").eq_ignore_ascii_case(DEVICE_MAC)
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn rows_read_are_rows_kept_removed_and_rejected_under_any_corruption(
        lines in prop::collection::vec(any_line(), 1..120),
    ) {
        let dump = lines.iter().fold(DumpText::default(), |dump, (flow, fate)| dump.spelled(flow, spelled(flow, fate)));
        let (mut kept, mut rejected) = (Vec::new(), Vec::new());
        let (mut to_device, mut neither, mut other) = (0, 0, 0);
        for line in dump.bytes().split(|&byte| byte == b'\n') {
            match oracle::read(line) {
                Meaning::Flow(row) => match (is_device(&row, "sourceMacAddress"), is_device(&row, "destinationMacAddress")) {
                    (true, _) => kept.push(key(
                        &row["octetTotalCount"],
                        &row["sourceTransportPort"],
                        &row["flowStartMilliseconds"],
                    )),
                    (false, true) => to_device += 1,
                    (false, false) => neither += 1,
                },
                Meaning::Rejected(_) => rejected.push(line.strip_suffix(b"\r").unwrap_or(line).to_vec()),
                Meaning::Other => other += 1,
                Meaning::Blank | Meaning::Stats | Meaning::Tombstone => {}
            }
        }
        let world = World::with_hub(&dump.trailer()).lenient();
        let lake = world.built();
        let read = kept.len() + to_device + neither + rejected.len();
        let removed = json!({"toDevice": to_device, "neither": neither});
        let accounting = json!({"read": read, "kept": kept.len(), "removed": removed, "rejected": rejected.len()});
        prop_assert_eq!(lake.accounting(), accounting);
        prop_assert_eq!(&lake.source()["records"]["other"], &json!(other));

        let rows = lake.rows();
        let mut found: Vec<String> = rows
            .iter()
            .map(|row| key(&row["octetTotalCount"], &row["IoTTransportPort"], &row["flowStartMilliseconds"]))
            .collect();
        found.sort_unstable();
        kept.sort_unstable();
        prop_assert_eq!(found, kept);
        let lines = if rejected.is_empty() { Vec::new() } else { lake.rejected("hub") };
        prop_assert_eq!(lines.iter().map(rejected_bytes).collect::<Vec<_>>(), rejected, "nothing is lost");
    }
}

/// The bytes of a rejected line.
fn rejected_bytes(line: &Value) -> Vec<u8> {
    match line["textHex"].as_str() {
        None => line["text"].as_str().expect("text").as_bytes().to_vec(),
        Some(digits) => (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal"))
            .collect(),
    }
}

#[test]
fn the_numbers_of_several_dumps_add_up() {
    use super::support::{catalogue, device, pack};
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    world.set_catalogue(&catalogue("[limits]\nmax_rejected_share = 1.0\n", &devices));
    let hub = DumpText::default().flow(&Flow::new()).flow(&Flow::inbound()).line("x").trailer();
    let lamp_flow = Flow::new().between(OTHER_MAC, ROUTER_MAC);
    let lamp = DumpText::default()
        .flow(&lamp_flow)
        .flow(&lamp_flow)
        .flow(&Flow::new())
        .line("y")
        .line("z")
        .trailer();
    world.add_dump("hub.tar.gz", &pack::tar_gz("hub", hub.bytes()));
    world.add_dump("lamp.tar.gz", &pack::tar_gz("lamp", lamp.bytes()));
    let lake = world.built();
    let removed = json!({"toDevice": 1, "neither": 1});
    assert_eq!(lake.accounting(), json!({"read": 8, "kept": 3, "removed": removed, "rejected": 3}));
    let of_each: Vec<_> = lake
        .list("sources")
        .iter()
        .map(|source| json!([source["read"], source["kept"], source["rejected"]]))
        .collect();
    assert_eq!(of_each, [json!([3, 1, 1]), json!([5, 2, 2])]);
    let totals = &lake.manifest["totals"];
    assert_eq!((&totals["dumps"], &totals["rows"], &totals["files"]), (&json!(2), &json!(3), &json!(2)));
    let bytes: u64 = lake.list("files").iter().map(|file| file["bytes"].as_u64().expect("a number")).sum();
    assert_eq!(totals["bytes"], bytes);
    for file in lake.list("files") {
        let path = lake.path(file["path"].as_str().expect("a path"));
        assert_eq!(fs_err::metadata(path).expect("a file").len(), file["bytes"]);
    }
}

#[test]
fn the_summary_says_what_the_manifest_says() {
    let mut dump = (0..1500).map(Flow::numbered).fold(DumpText::default(), |dump, flow| dump.flow(&flow));
    dump = dump.flow(&Flow::inbound()).line("damaged").trailer();
    let world = World::with_hub(&dump);
    let outcome = world.build().run().expect_code(0);
    // What differs from run to run or version to version is left out.
    let (changing, lines): (Vec<String>, Vec<String>) = outcome
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .partition(|line| CHANGING.iter().any(|name| line.starts_with(name)));
    insta::assert_snapshot!(lines.join("\n"), @r"
    lake [dir]/lake
    dumps 1
    rows read 1,502
    rows kept 1,500
    rows removed 1
    by toDevice 1
    by neither 0
    rows rejected 1
    files 1
    warnings 2
    ");
    assert_eq!(changing.len(), CHANGING.len(), "{changing:?}");
}

/// What the summary says of this run or this version.
const CHANGING: [&str; 4] = ["bytes", "JSON read", "seconds", "MB/s of JSON"];

#[test]
fn rows_add_up_with_every_recipe_for_each_dump_and_in_all() {
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    world.set_catalogue(&catalogue("[limits]\nmax_rejected_share = 1.0\n", &devices));
    let dump =
        DumpText::of([Flow::new(), Flow::new(), Flow::inbound(), Flow::new().between(OTHER_MAC, ROUTER_MAC)])
            .flow(&Flow::new().number("packetTotalCount", 300_000))
            .flow(&Flow::new().without("flowEndReason"))
            .flow(&Flow::new().text("sourceIPv4Address", "fe80::1").starting("2019-12-31 23:59:59.998"))
            .line("no flow at all");
    world.add_dump("hub.json", dump.bytes());
    world.add_dump("lamp.json", dump.bytes());
    for (recipe, kept) in [("flows", [5, 1]), ("encoded", [2, 1]), ("full", [7, 7])] {
        for options in [&[][..], &["--from", "2019-12", "--to", "2020-01"]] {
            world.build().args(["--replace", "--recipe", recipe]).args(options).run().expect_code(0);
            let lake = world.lake();
            let number = |value: &Value| value.as_u64().expect("a number");
            let adds_up = |of: &Value| {
                let removed = of["removed"].as_array().expect("a list");
                let removed: u64 = removed.iter().map(|rule| number(&rule["rows"])).sum();
                assert_eq!(
                    number(&of["read"]),
                    number(&of["kept"]) + removed + number(&of["rejected"]),
                    "{recipe}"
                );
            };
            adds_up(&lake.manifest["rowAccounting"]);
            for (source, kept) in lake.list("sources").iter().zip(kept) {
                adds_up(source);
                assert_eq!((number(&source["read"]), number(&source["rejected"])), (8, 1));
                if options.is_empty() {
                    assert_eq!(number(&source["kept"]), kept, "{recipe}");
                }
            }
        }
    }
}
