//! The decoder against another reading of the same lines: whatever the spelling, the same columns.

use flowlake_ingest::schema::LINE;
use flowlake_ingest::{Chunk, Decoder, Limits, RawBatch};
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::support::oracle::{self, Meaning};
use super::support::{Flow, OTHER_MAC, cases, frame_rows};

#[track_caller]
fn decode(dump: &[u8]) -> RawBatch {
    Decoder::new("dump", &Limits::default()).decode(&Chunk::whole(dump)).expect("no limit is passed")
}

/// Decodes the lines as one dump and compares everything with the other reading.
fn check(lines: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let dump = lines.join(&b'\n');
    let batch = decode(&dump);
    let mut rows = frame_rows(&batch.flows).into_iter();
    let mut rejections = batch.rejections.iter();
    let (mut stats, mut tombstone, mut other) = (0, 0, 0);
    let mut offset = 0;
    // A flipped byte can be a line feed: lines are what lies between them.
    for (i, line) in dump.split(|&byte| byte == b'\n').enumerate() {
        let number = i as u64 + 1;
        let shown = String::from_utf8_lossy(line).into_owned();
        match oracle::read(line) {
            Meaning::Blank => {}
            Meaning::Stats => stats += 1,
            Meaning::Tombstone => tombstone += 1,
            Meaning::Other => other += 1,
            Meaning::Flow(expected) => {
                let mut found = rows.next().unwrap_or_default();
                prop_assert_eq!(found.remove(LINE), Some(Value::from(number)), "{}", shown);
                prop_assert_eq!(found, expected, "{}", shown);
            }
            Meaning::Rejected(field) => {
                let Some(rejection) = rejections.next() else {
                    return Err(TestCaseError::fail(format!("not rejected: {shown}")));
                };
                prop_assert_eq!((rejection.line, rejection.offset), (number, offset), "{}", shown);
                let text = line.strip_suffix(b"\r").unwrap_or(line);
                prop_assert_eq!(&*rejection.text, text);
                let names_field = rejection.reason.contains(field.unwrap_or_default());
                prop_assert!(names_field, "{} for {field:?} of {shown}", rejection.reason);
            }
        }
        offset += line.len() as u64 + 1;
    }
    prop_assert_eq!(rows.next(), None);
    prop_assert_eq!(rejections.next(), None);
    let counts = batch.records;
    prop_assert_eq!((counts.stats, counts.tombstone, counts.other), (stats, tombstone, other));
    prop_assert_eq!(counts.flows, batch.flows.height() as u64);
    Ok(())
}

/// A value as it may stand behind a key, right or wrong.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        // Numbers in every spelling, in and out of range.
        any::<u32>().prop_map(|number| number.to_string()),
        (0_u64..=u64::MAX).prop_map(|number| number.to_string()),
        (0_u32..70_000).prop_map(|number| format!("{number}.0")),
        (0_u32..70, 0_u32..6).prop_map(|(number, power)| format!("{number}e{power}")),
        (0_u32..10_000).prop_map(|number| format!("{}.{:03}", number / 1000, number % 1000)),
        (0_u32..100_000).prop_map(|number| format!("{}.{:05}", number / 100_000, number)),
        (1_u32..1000).prop_map(|number| format!("-{number}")),
        // Text as long as it may be, and longer.
        (250_usize..260).prop_map(|length| format!("\"{}\"", "x".repeat(length))),
        // Text in the forms of the fields.
        prop::sample::select(vec![
            "0", "1", "-0", "-1", "-0.0", "1e2", "1E+2", "17.0", "17.5", "1.0e1", "255", "256", "65535", "65536",
            "2147483647", "2147483648", "4294967295", "4294967296", "9007199254740992", "9007199254740993",
            "9007199254740.991", "9007199254740.992", "9223372036854775807", "9223372036854775808",
            "18446744073709551616", "9007199254740991.0", "1e15", "1e19", "00", "01", "+1", ".5", "1.", "0x1",
            "null", "true", "false", "[]", "[1,[2,{\"a\":[]}]]", "{}", "{\"a\":{\"b\":null}}", "",
            "\"\"", "\"0\"", "\"S\"", "\"AS\"", "\"FSRPAUEC\"", "\"ECUAPRSF\"", "\"s\"", "\"00\"", "\"0x00\"",
            "\"0x\"", "\"0X1\"", "\"ff\"", "\"FFFF\"", "\"10000\"", "\"0xffffffff\"", "\"100000000\"",
            "\"000000000000001\"", "\"0000000000000001\"", "\"idle\"", "\"a text of more than twelve bytes\"",
            "\"eine längere Zeichenkette mit Umlauten wie ä, ö und ü, länger als vierundsechzig Bytes, wirklich\"",
            "\"a\\\"b\"", "\"a\\\\b\"", "\"\\u0069dle\"", "\"tab\\tand\\nline\"", "\"raw\ttab\"",
            "\"192.0.2.1\"", "\"192.0.2.01\"", "\"192.0.2.256\"", "\"::\"", "\"ff02::0016\"", "\"::ffff:192.0.2.1\"",
            "\"2001:0db8:0000:0000:0000:0000:0000:0001\"", "\"fe80::1%eth0\"", "\"2001:db8::/32\"", "\" 192.0.2.1\"",
            "\"02:00:00:00:00:01\"", "\"02:00:00:00:00:01:\"", "\"02-00-00-00-00-01\"", "\"02:00-00:00:00:01\"",
            "\"02:00:00:00:00:01::\"", "\"0200.0000.0001\"", "\"AA:BB:CC:DD:EE:FF\"", "\"02:00:00:00:00:0g\"",
            "\"2019-06-25 08:36:29.747\"", "\"2019-06-25T08:36:29.747Z\"", "\"2019-06-25 08:36:29\"",
            "\"2019-06-25 08:36:29.7\"", "\"2019-06-25 08:36:29.747999999\"", "\"2019-06-25 08:36:29.7479999999\"",
            "\"2019-06-25 08:36:29.\"", "\"2019-02-29 00:00:00.000\"", "\"2020-02-29 00:00:00.000\"",
            "\"1900-02-29 00:00:00.000\"", "\"2000-02-29 23:59:59.999\"", "\"0000-01-01 00:00:00.000\"",
            "\"0001-01-01 00:00:00.000\"", "\"9999-12-31 23:59:59.999\"", "\"2019-12-31 24:00:00.000\"",
            "\"2019-06-31 00:00:00.000\"", "\"2019-06-25 08:60:00.000\"", "\"2019-06-25 08:36:60.000\"",
            "\"2019-6-25 08:36:29.747\"", "\"2019-06-25 08:36:29.747+00:00\"", "\"2019-06-25  8:36:29.747\"",
            "\"2019/06/25 08:36:29.747\"", "\"1561451789747\"",
        ])
        .prop_map(str::to_owned),
    ]
}

/// A change to a line that JSON's grammar, or a broken disk, allows.
#[derive(Debug, Clone)]
enum Change {
    /// Another value behind the key at this place.
    Value(usize, String),
    Drop(usize),
    /// The key once more, at another place, with another value: the last one counts.
    Repeat(usize, usize, String),
    Unknown(usize, String),
    Swap(usize, usize),
    /// A letter of the key at this place as `\u00xx`.
    Escape(usize),
    /// White space before and behind the punctuation.
    Spaces(&'static str),
    CarriageReturn,
    /// A byte of the finished line, changed.
    Flip(prop::sample::Index, u8),
    /// The finished line, cut off.
    Cut(prop::sample::Index),
}

/// Any byte but those that could turn digits into a number no double holds: a generic reader refuses that even behind a key
/// nobody knows, where it is legal JSON.
fn any_byte() -> impl Strategy<Value = u8> {
    any::<u8>().prop_filter("an exponent", |byte| !matches!(byte, b'e' | b'E'))
}

fn any_change() -> impl Strategy<Value = Change> {
    let place = || 0_usize..54;
    prop_oneof![
        6 => (place(), any_value()).prop_map(|(at, value)| Change::Value(at, value)),
        2 => place().prop_map(Change::Drop),
        2 => (place(), place(), any_value()).prop_map(|(at, to, value)| Change::Repeat(at, to, value)),
        2 => (place(), any_value()).prop_map(|(at, value)| Change::Unknown(at, value)),
        2 => (place(), place()).prop_map(|(a, b)| Change::Swap(a, b)),
        1 => place().prop_map(Change::Escape),
        1 => prop::sample::select(vec![" ", "\t", "  ", " \t "]).prop_map(Change::Spaces),
        1 => Just(Change::CarriageReturn),
        2 => (any::<prop::sample::Index>(), any_byte()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Change::Cut),
    ]
}

/// The line of a flow after changes.
fn spell(flow: &Flow, changes: &[Change]) -> Vec<u8> {
    let mut fields: Vec<(String, String)> = flow.fields().to_vec();
    let mut spaces = "";
    for change in changes {
        let last = fields.len().saturating_sub(1);
        match change {
            _ if fields.is_empty() => break,
            Change::Value(at, value) => value.clone_into(&mut fields[(*at).min(last)].1),
            Change::Drop(at) => {
                fields.remove((*at).min(last));
            }
            Change::Repeat(at, to, value) => {
                let key = fields[(*at).min(last)].0.clone();
                fields.insert((*to).min(last), (key, value.clone()));
            }
            Change::Unknown(at, value) => {
                fields.insert((*at).min(last), (format!("unknown{at}"), value.clone()));
            }
            Change::Swap(a, b) => fields.swap((*a).min(last), (*b).min(last)),
            Change::Escape(at) => {
                let (key, _) = &mut fields[(*at).min(last)];
                if let Some(letter) = key.chars().next().filter(char::is_ascii_alphabetic) {
                    *key = format!("\\u{:04x}{}", u32::from(letter), &key[1..]);
                }
            }
            Change::Spaces(text) => spaces = text,
            Change::CarriageReturn | Change::Flip(..) | Change::Cut(_) => {}
        }
    }
    let s = spaces;
    let fields: Vec<String> =
        fields.iter().map(|(key, value)| format!("{s}\"{key}\"{s}:{s}{value}{s}")).collect();
    let mut line = format!("{s}{{{s}\"flows\"{s}:{s}{{{}}}{s}}}{s}", fields.join(",")).into_bytes();
    for change in changes {
        match change {
            Change::Flip(at, byte) => {
                let at = at.index(line.len());
                line[at] = *byte;
            }
            Change::Cut(at) => line.truncate(at.index(line.len()).max(1)),
            Change::CarriageReturn => line.push(b'\r'),
            _ => {}
        }
    }
    line
}

/// A flow as exporters write it: most lines of a dump.
fn any_flow() -> impl Strategy<Value = Flow> {
    let forms = prop::sample::select(vec![
        Flow::new(),
        Flow::new().without("bytesPerPacket"),
        Flow::new().without("bytesPerPacket").without("reverseBytesPerPacket"),
        Flow::new().unanswered(),
        Flow::new().unanswered().without_statistics(),
        Flow::inbound().text("sourceIPv4Address", "ff02::0016").text("flowEndReason", ""),
        Flow::new().between(OTHER_MAC, OTHER_MAC).text("collectorName", "a collector of a longer name"),
    ]);
    (forms, 0_u64..i64::MAX as u64, 0_u64..10_000_000, 0_i64..4_000_000_000_000).prop_map(
        |(flow, octets, duration, start)| {
            let time = flowlake_partition::layout::timestamp_text(start).replace('T', " ").replace('Z', "");
            flow.number("octetTotalCount", octets)
                .number("packetTotalCount", duration % 1000)
                .times(&time, &time, duration)
        },
    )
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn any_spelling_of_a_flow_gives_what_a_generic_json_reader_finds(
        lines in prop::collection::vec((any_flow(), prop::collection::vec(any_change(), 0..5)), 1..8),
    ) {
        let lines: Vec<Vec<u8>> = lines.iter().map(|(flow, changes)| spell(flow, changes)).collect();
        check(&lines)?;
    }

    #[test]
    fn whatever_bytes_a_dump_holds_every_line_is_accounted_for(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
        flow in any_flow(),
    ) {
        let mut lines = lines;
        lines.insert(lines.len() / 2, flow.line().into_bytes());
        check(&lines)?;
    }
}

#[test]
fn a_line_cut_off_at_any_byte_takes_nothing_of_the_next_one_with_it() {
    let line = Flow::new().line().into_bytes();
    let next = Flow::numbered(77).line().into_bytes();
    for cut in 1..line.len() {
        if let Err(error) = check(&[line[..cut].to_vec(), next.clone()]) {
            panic!("cut at {cut}: {error}");
        }
    }
}

#[test]
fn a_byte_changed_anywhere_in_a_line_is_read_as_a_generic_json_reader_reads_it() {
    let line = Flow::new().line().into_bytes();
    for at in 0..line.len() {
        let changed: Vec<Vec<u8>> = [b'"', b'0', b'9', b'a', b'}', b',', b' ', b'\\', 0, 0xff]
            .into_iter()
            .map(|byte| {
                let mut line = line.clone();
                line[at] = byte;
                line
            })
            .collect();
        if let Err(error) = check(&changed) {
            panic!("byte {at}: {error}");
        }
    }
}

#[test]
fn a_repeated_key_counts_with_its_last_value() {
    let good = Flow::new().line();
    let repeated = |first: &str, last: &str| {
        good.replace(
            "\"protocolIdentifier\":6",
            &format!("\"protocolIdentifier\":{first},\"protocolIdentifier\":{last}"),
        )
    };
    let row = |line: &str| {
        frame_rows(&decode(line.as_bytes()).flows).first().map(|row| row["protocolIdentifier"].clone())
    };
    assert_eq!(row(&repeated("6", "17")), Some(Value::from(17)));
    assert_eq!(row(&repeated("\"six\"", "17")), Some(Value::from(17)), "what came before does not matter");
    assert_eq!(row(&repeated("17", "\"six\"")), None);
    assert_eq!(row(&repeated("17", "null")), None, "required, and null in the end");
}

#[test]
fn nested_lists_and_objects_of_unknown_keys_are_passed_over_and_counted() {
    let flow = Flow::new()
        .raw("dnsQRList", "[{\"dnsQR\":{\"dnsName\":\"a.example\",\"list\":[1,[2,[3]]]}},{}]")
        .raw("sslCertList", "{\"deep\":{\"deeper\":[null,true,1.5e3]}}");
    let batch = decode(format!("{}\n{}", flow.line(), flow.line()).as_bytes());
    assert_eq!(batch.flows.height(), 2);
    let expected = [("dnsQRList".to_owned(), 2), ("sslCertList".to_owned(), 2)];
    assert_eq!(
        batch.unknown_fields.iter().map(|(name, flows)| (name.to_owned(), flows)).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn what_stands_behind_an_unknown_key_need_be_no_more_than_legal_json() {
    let flow = Flow::new().raw("huge", "1e999").raw("half", "\"\\ud83d\"").raw("long", &"9".repeat(400));
    assert_eq!(decode(flow.line().as_bytes()).flows.height(), 1);
    let illegal = Flow::new().raw("unknown", "01");
    assert_eq!(decode(illegal.line().as_bytes()).flows.height(), 0);
    let known = Flow::new().raw("packetTotalCount", "1e999");
    assert_eq!(decode(known.line().as_bytes()).flows.height(), 0);
}

#[test]
fn a_flood_of_unknown_keys_is_counted_without_keeping_them_all() {
    let lines: Vec<String> = (0..3000).map(|i| Flow::new().raw(&format!("key{i}"), "0").line()).collect();
    let batch = decode(lines.join("\n").as_bytes());
    assert!(
        batch.unknown_fields.iter().count() <= 300,
        "{} names are kept",
        batch.unknown_fields.iter().count()
    );
    assert_eq!(batch.unknown_fields.iter().map(|(_, flows)| flows).sum::<u64>(), 3000);
}

#[test]
fn the_fixture_has_all_keys_of_the_schema_in_its_order() {
    let keys: Vec<String> = Flow::new().fields().iter().map(|(key, _)| key.clone()).collect();
    let schema: Vec<&str> = flowlake_ingest::schema::FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(keys, schema);
    let row: Map<String, Value> = frame_rows(&decode(Flow::new().line().as_bytes()).flows).remove(0);
    assert!(row.values().all(|value| !value.is_null()), "{row:?}");
}
