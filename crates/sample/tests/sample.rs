//! What a sample promises: the same bytes from the same seed, the exporter's form in every line, every awkward case
//! of the real data, and a directory that is never overwritten. Checked from outside, on what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use flowlake_sample::{SampleDevice, SampleError, SampleOptions, generate, parse_profiles};
use fs_err as fs;
use serde_json::Value;
use support::Flow;

mod support;

const SMALL: SampleOptions = SampleOptions { scale: 0.001, seed: 7, jobs: 2 };

const ALWAYS: &str = "flowStartMilliseconds flowEndMilliseconds flowDurationMilliseconds \
    reverseFlowDeltaMilliseconds protocolIdentifier sourceIPv4Address sourceTransportPort packetTotalCount \
    octetTotalCount flowAttributes sourceMacAddress destinationIPv4Address destinationTransportPort \
    reversePacketTotalCount reverseOctetTotalCount reverseFlowAttributes destinationMacAddress initialTCPFlags \
    unionTCPFlags reverseInitialTCPFlags reverseUnionTCPFlags tcpSequenceNumber reverseTcpSequenceNumber \
    ingressInterface egressInterface vlanId silkAppLabel ipClassOfService flowEndReason collectorName \
    observationDomainId";
const STATISTICS: &str = "tcpUrgTotalCount smallPacketCount nonEmptyPacketCount dataByteCount \
    averageInterarrivalTime firstNonEmptyPacketSize largePacketCount maxPacketSize \
    firstEightNonEmptyPacketDirections standardDeviationPayloadLength standardDeviationInterarrivalTime \
    bytesPerPacket";
const REVERSE_STATISTICS: &str = "reverseTcpUrgTotalCount reverseSmallPacketCount reverseNonEmptyPacketCount \
    reverseDataByteCount reverseAverageInterarrivalTime reverseFirstNonEmptyPacketSize reverseLargePacketCount \
    reverseMaxPacketSize reverseStandardDeviationPayloadLength reverseStandardDeviationInterarrivalTime \
    reverseBytesPerPacket";

fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory).expect("a directory");
    files
        .map(|file| file.expect("an entry"))
        .map(|file| (file.file_name().into_string().expect("a name"), fs::read(file.path()).expect("bytes")))
        .collect()
}

fn device(archive: &str) -> SampleDevice {
    support::devices().into_iter().find(|device| device.archive == archive).expect("a device")
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_jobs() {
    let make = |options: SampleOptions| {
        let directory = tempfile::tempdir().expect("a directory");
        support::sample(&support::devices(), options, directory.path()).expect("a sample");
        contents(directory.path())
    };
    let one = make(SampleOptions { jobs: 1, ..SMALL });
    assert_eq!(
        one.len(),
        25 + 1 + 1 + 2 + 1,
        "25 dumps, of which two have 2 parts and one 3, and the catalogue"
    );
    assert!(one == make(SampleOptions { jobs: 2, ..SMALL }));
    let other = make(SampleOptions { seed: 8, ..SMALL });
    for (name, bytes) in &one {
        assert_eq!(other.get(name) == Some(bytes), name == "catalogue.toml", "{name}");
    }
}

#[test]
fn a_dump_depends_on_no_other_device() {
    let alone = tempfile::tempdir().expect("a directory");
    let together = tempfile::tempdir().expect("a directory");
    support::sample(&[device("qrio_hub")], SMALL, alone.path()).expect("a sample");
    support::sample(&support::devices(), SMALL, together.path()).expect("a sample");
    let dump = "qrio_hub.tar.gz";
    assert!(contents(alone.path())[dump] == contents(together.path())[dump]);
}

#[test]
fn every_line_has_the_form_of_the_exporter() {
    let directory = tempfile::tempdir().expect("a directory");
    let dumps = support::sample(&support::devices(), SMALL, directory.path()).expect("a sample");
    for (device, dump) in support::devices().iter().zip(&dumps) {
        let text = support::unpack(directory.path(), dump);
        assert!(text.ends_with('\n'));
        let lines: Vec<&str> = text.lines().collect();
        let (flows, trailer) = lines.split_at(lines.len() - 2);
        let (mut packets, mut initiated, mut latest) = (0, 0, 0);
        for line in flows {
            let flow = Flow::read(line).expect("a flow");
            check_form(&flow, line);
            packets += flow.number("packetTotalCount") + flow.number("reversePacketTotalCount");
            initiated += u64::from(flow.text("sourceMacAddress") == format!("{}:", device.mac));
            assert!(flow.end() + 37 * 60_000 >= latest, "more than 37 minutes out of order: {line}");
            latest = latest.max(flow.end());
        }
        assert_eq!(
            (flows.len() as u64, packets, initiated),
            (dump.records, dump.packets, dump.device_initiated)
        );
        let trailer: Vec<Value> =
            trailer.iter().map(|line| serde_json::from_str(line).expect("a trailer")).collect();
        assert_eq!(trailer[0]["stats"]["exportedFlowTotalCount"], dump.records);
        assert_eq!(trailer[0]["stats"]["packetTotalCount"], packets);
        assert_eq!(trailer[1]["tombstone"]["tombstoneAccessList"].as_array().map(Vec::len), Some(2));
    }
}

/// The rules of the format, one by one.
fn check_form(flow: &Flow, line: &str) {
    let replies = flow.number("reversePacketTotalCount");
    let protocol = flow.number("protocolIdentifier");
    let mut expected: Vec<&str> = ALWAYS.split_whitespace().collect();
    let has_statistics = flow.has("smallPacketCount");
    assert!(has_statistics || (protocol == 6 && replies == 0), "{line}");
    if has_statistics {
        expected.extend(STATISTICS.split_whitespace());
        check_side(flow, "", line);
    }
    if replies > 0 {
        expected.extend(REVERSE_STATISTICS.split_whitespace());
        check_side(flow, "reverse", line);
    }
    expected.retain(|key| match *key {
        "bytesPerPacket" => flow.number("nonEmptyPacketCount") > 0,
        "reverseBytesPerPacket" => flow.number("reverseNonEmptyPacketCount") > 0,
        _ => true,
    });
    assert_eq!(flow.keys, expected, "{line}");
    assert!([31, 43, 52, 53, 54].contains(&flow.keys.len()), "{} keys: {line}", flow.keys.len());

    assert_eq!(flow.seconds("flowDurationMilliseconds"), flow.duration(), "{line}");
    assert!(flow.seconds("reverseFlowDeltaMilliseconds") <= flow.duration(), "{line}");
    assert!(flow.duration() <= 1_800_500, "{line}");
    assert!(line.contains(&format!(
        "\"flowDurationMilliseconds\":{}.{:03},",
        flow.duration() / 1_000,
        flow.duration() % 1_000
    )));
    let (first, last) = (&flow.text("flowStartMilliseconds")[..10], &flow.text("flowEndMilliseconds")[..10]);
    assert!(first >= "2019-06-25" && last <= "2019-10-10", "{line}");

    for key in ["sourceMacAddress", "destinationMacAddress"] {
        assert!(flow.text(key).len() == 18 && flow.text(key).ends_with(':'), "{line}");
    }
    for key in ["initialTCPFlags", "unionTCPFlags", "reverseInitialTCPFlags", "reverseUnionTCPFlags"] {
        let places: Vec<_> = flow.text(key).chars().map(|letter| "ECUAPRSF".find(letter)).collect();
        let ordered = places.is_sorted() && places.iter().all(Option::is_some);
        assert!(flow.text(key) == "0" || (protocol == 6 && ordered), "{line}");
    }
    assert!(flow.number("packetTotalCount") > 1 || flow.text("unionTCPFlags") == "0", "{line}");
    assert!(replies > 1 || flow.text("reverseUnionTCPFlags") == "0", "{line}");
    assert_eq!(flow.text("tcpSequenceNumber") == "0x00000000", protocol != 6, "{line}");
    assert_eq!(
        flow.text("reverseTcpSequenceNumber") == "0x00000000",
        protocol != 6 || replies == 0,
        "{line}"
    );
    assert_eq!(flow.text("vlanId"), "0x000");
    assert_eq!((flow.text("ipClassOfService").len(), flow.text("collectorName")), (4, "C1"));
    assert!(["idle", "active", "eof", ""].contains(&flow.text("flowEndReason")));
    assert!(!flow.text("flowEndReason").is_empty() || protocol == 6, "only TCP is closed: {line}");
    check_addresses(flow, protocol, line);
}

fn check_addresses(flow: &Flow, protocol: u64, line: &str) {
    let (source, destination) = (flow.text("sourceIPv4Address"), flow.text("destinationIPv4Address"));
    let (source_port, destination_port) =
        (flow.number("sourceTransportPort"), flow.number("destinationTransportPort"));
    match protocol {
        1 => assert!(source_port < 256 && destination_port < 256, "{line}"),
        2 => assert_eq!((source_port, destination_port), (0, 0), "{line}"),
        58 => assert!(source_port == 0 && destination_port >= 128 * 256, "{line}"),
        _ => assert!(source_port > 0 && destination_port > 0, "{line}"),
    }
    assert_eq!(protocol == 58, source.contains(':') && destination.contains(':') && protocol != 17, "{line}");
    assert!(source != "0.0.0.0" && !destination.starts_with("::"), "{line}");
    for address in [source, destination] {
        let groups: Vec<_> = address.split(':').collect();
        assert!(groups.len() == 1 || groups.iter().all(|group| matches!(group.len(), 0 | 4)), "{line}");
        let known =
            ["192.168.1.", "192.0.2.", "198.51.100.", "203.0.113.", "198.18.", "198.19.", "224.", "239."];
        let known = known.iter().any(|prefix| address.starts_with(prefix));
        assert!(groups.len() > 1 || known || address == "255.255.255.255", "a real host? {line}");
    }
    let mac = flow.text("destinationMacAddress");
    if destination.starts_with("ff02:") {
        let tail: String = mac[6..17].split(':').collect();
        assert!(mac.starts_with("33:33:") && destination.replace(':', "").ends_with(&tail[4..]), "{line}");
    } else if let Some(rest) = destination.strip_prefix("224.").or(destination.strip_prefix("239.")) {
        let octets: Vec<u8> = rest.split('.').map(|octet| octet.parse().expect("an octet")).collect();
        let expected = format!("01:00:5e:{:02x}:{:02x}:{:02x}:", octets[0] & 0x7f, octets[1], octets[2]);
        assert_eq!(mac, expected, "{line}");
    } else if destination.ends_with(".255") {
        assert_eq!(mac, "ff:ff:ff:ff:ff:ff:", "{line}");
    }
}

/// The counts of one direction agree with each other.
fn check_side(flow: &Flow, prefix: &str, line: &str) {
    let named = |key: &str| match prefix {
        "" => key.to_owned(),
        _ => format!("{prefix}{}{}", key[..1].to_uppercase(), &key[1..]),
    };
    let number = |key: &str| flow.number(&named(key));
    let (packets, filled, data) =
        (number("packetTotalCount"), number("nonEmptyPacketCount"), number("dataByteCount"));
    assert!(filled <= packets && number("smallPacketCount") + number("largePacketCount") <= filled, "{line}");
    assert!(number("octetTotalCount") >= data + packets * 24, "{line}");
    assert!(number("firstNonEmptyPacketSize") <= number("maxPacketSize"), "{line}");
    assert!(number("maxPacketSize") <= data && data <= number("maxPacketSize") * filled, "{line}");
    let mean = flow.has(&named("bytesPerPacket")).then(|| number("bytesPerPacket"));
    assert_eq!(mean, data.checked_div(filled), "{line}");
    assert!(number("averageInterarrivalTime") * (packets - 1) <= flow.duration(), "{line}");
    assert!(packets > 1 || number("averageInterarrivalTime") == 0, "{line}");
    let same_size = flow.hex(&named("flowAttributes")) & 1 == 1;
    assert!(!same_size || (packets > 1 && number("standardDeviationPayloadLength") == 0), "{line}");

    let answers =
        if flow.has("reverseNonEmptyPacketCount") { flow.number("reverseNonEmptyPacketCount") } else { 0 };
    let (asked, directions) =
        (flow.number("nonEmptyPacketCount"), flow.hex("firstEightNonEmptyPacketDirections"));
    let valid = (asked + answers).min(8);
    assert_eq!(directions >> valid, 0, "{line}");
    let backwards = u64::from(directions.count_ones());
    assert!(backwards <= answers && valid - backwards <= asked, "{line}");
}

#[test]
fn all_awkward_cases_are_there_in_a_small_sample() {
    let directory = tempfile::tempdir().expect("a directory");
    let dumps = support::sample(&support::devices(), SMALL, directory.path()).expect("a sample");
    let mut seen = BTreeSet::new();
    let (mut initiated, mut flows) = (0, 0);
    for (device, dump) in support::devices().iter().zip(&dumps) {
        (initiated, flows) = (initiated + dump.device_initiated, flows + dump.records);
        let own = format!("{}:", device.mac);
        let mut latest = 0;
        for flow in support::unpack(directory.path(), dump).lines().filter_map(Flow::read) {
            let protocol = flow.number("protocolIdentifier");
            seen.insert(format!("{} keys", flow.keys.len()));
            seen.insert(format!("{} keys, protocol {protocol}", flow.keys.len()));
            seen.insert(format!("'{}', protocol {protocol}", flow.text("flowEndReason")));
            seen.insert(format!("month {}", &flow.text("flowStartMilliseconds")[..7]));
            seen.insert(format!("attributes {}", flow.text("flowAttributes")));
            seen.insert(format!("class of service {}", flow.text("ipClassOfService")));
            seen.insert(format!("flags {}", flow.text("initialTCPFlags")));
            seen.insert(format!("group {}", flow.text("destinationIPv4Address")));
            if [53, 123, 137, 1900, 5353, 443, 80, 8883, 1883]
                .contains(&flow.number("destinationTransportPort"))
            {
                seen.insert(format!("port {}", flow.number("destinationTransportPort")));
            }
            if flow.text("sourceIPv4Address") == "::" {
                seen.insert(format!(":: to {}", &flow.text("destinationIPv4Address")[..4]));
            }
            if flow.text("sourceMacAddress") != own && flow.text("destinationMacAddress") != own {
                seen.insert("neither".to_owned());
            }
            if (1_799_900..1_800_000).contains(&flow.duration()) {
                seen.insert("cut after 1799.9".to_owned());
            }
            if flow.end() + 10 * 60_000 < latest {
                seen.insert("far out of order".to_owned());
            }
            latest = latest.max(flow.end());
        }
    }
    let awkward = [
        "31 keys",
        "43 keys",
        "52 keys",
        "53 keys",
        "54 keys",
        "43 keys, protocol 6",
        "54 keys, protocol 17",
        "'', protocol 6",
        "'idle', protocol 6",
        "'active', protocol 6",
        "'active', protocol 17",
        "'eof', protocol 17",
        "'idle', protocol 1",
        "'idle', protocol 2",
        "'idle', protocol 58",
        "month 2019-06",
        "month 2019-07",
        "month 2019-08",
        "month 2019-09",
        "month 2019-10",
        "attributes 00",
        "attributes 01",
        "attributes 02",
        "attributes 08",
        "class of service 0x00",
        "class of service 0xc0",
        "flags S",
        "flags ECS",
        "flags AP",
        "flags R",
        "flags 0",
        "group 224.0.0.251",
        "group 239.255.255.250",
        "group ff02::0016",
        "group ff02::00fb",
        "group 255.255.255.255",
        "group 192.168.1.255",
        ":: to 255.",
        ":: to ff02",
        "port 53",
        "port 80",
        "port 123",
        "port 137",
        "port 443",
        "port 1883",
        "port 1900",
        "port 5353",
        "port 8883",
        "neither",
        "cut after 1799.9",
        "far out of order",
    ];
    let missing: Vec<_> = awkward.iter().filter(|case| !seen.contains(**case)).collect();
    assert!(missing.is_empty(), "missing {missing:?} in {seen:?}");
    let share = initiated as f64 / flows as f64;
    assert!((0.45..0.57).contains(&share), "{share} of the flows are device-initiated");
    assert!(dumps.iter().any(|dump| dump.parts.len() == 3));
}

#[test]
fn the_catalogue_describes_what_was_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let heard = Mutex::new(Vec::new());
    let devices = support::devices();
    let dumps = generate(&devices, &support::profiles(), &SMALL, directory.path(), &|dump| {
        heard.lock().expect("no panic").push(dump.clone());
    })
    .expect("a sample");
    let catalogue = fs::read_to_string(directory.path().join("catalogue.toml")).expect("a catalogue");
    let expected: Vec<SampleDevice> = devices
        .iter()
        .zip(&dumps)
        .map(|(device, dump)| SampleDevice { records: dump.records, ..device.clone() })
        .collect();
    assert_eq!(support::devices_of(&catalogue), expected);
    let mut heard = heard.into_inner().expect("no panic");
    heard.sort_by_key(|dump| dumps.iter().position(|other| other == dump));
    assert_eq!(heard, dumps);
    for (device, dump) in devices.iter().zip(&dumps) {
        let scaled = (device.records as f64 * SMALL.scale).round() as u64;
        assert_eq!(dump.records, scaled.max(20), "{}", device.name);
    }
}

#[test]
fn overrides_name_devices_of_the_catalogue() {
    let profiles: toml::Table = include_str!("../../../config/sample.toml").parse().expect("TOML");
    let names: BTreeSet<String> = support::devices().into_iter().map(|device| device.name).collect();
    for name in profiles["device"].as_table().expect("devices").keys() {
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("notes.txt"), "mine").expect("a file");
    let error = support::sample(&[device("qrio_hub")], SMALL, directory.path()).expect_err("refused");
    assert!(matches!(error, SampleError::OutputNotEmpty { .. }), "{error}");
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(contents(directory.path()).len(), 1);

    let file = directory.path().join("notes.txt");
    let error = support::sample(&[device("qrio_hub")], SMALL, &file).expect_err("refused");
    assert!(matches!(error, SampleError::Write { .. }), "{error}");
    assert_eq!(fs::read(&file).expect("bytes"), b"mine");
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is() {
    let parent = tempfile::tempdir().expect("a directory");
    let output = parent.path().join("sample");
    let good = device("qrio_hub");
    let refused = |devices: &[SampleDevice], options: SampleOptions| {
        let error = support::sample(devices, options, &output).expect_err("refused");
        assert!(!output.exists(), "{error}");
        error.to_string()
    };
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(
            refused(std::slice::from_ref(&good), SampleOptions { scale, ..SMALL }).contains("out of range")
        );
    }
    for archive in ["", "../up", "a/b", ".hidden"] {
        let bad = SampleDevice { archive: archive.to_owned(), ..good.clone() };
        assert!(refused(&[bad], SMALL).contains("cannot be the stem"), "{archive}");
    }
    assert!(refused(&[good.clone(), good.clone()], SMALL).contains("another device's"));
    assert!(refused(&[SampleDevice { parts: 0, ..good.clone() }], SMALL).contains("0 parts"));
    assert!(
        refused(&[SampleDevice { mac: "80:c5".to_owned(), ..good.clone() }], SMALL).contains("not a MAC")
    );
    let unknown = SampleDevice { device_class: "toaster".to_owned(), ..good };
    assert!(refused(&[unknown], SMALL).contains("no profile for class 'toaster'"));
}

#[test]
fn profiles_with_an_unknown_key_name_it_with_file_and_line() {
    let error =
        parse_profiles("[service]\n[class]\n[colour]\n", "mine.toml").expect_err("refused").to_string();
    assert!(error.starts_with("mine.toml:3: unknown field `colour`"), "{error}");
}
