//! What paths promise: strict both ways, without ambiguity, and in an order that readers can rely on.

use super::*;
use proptest::prelude::*;

#[test]
fn months_of_known_instants() {
    for (millis, month, text) in [
        (0, "1970-01", "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12", "1969-12-31T23:59:59.999Z"),
        (1_561_451_789_747, "2019-06", "2019-06-25T08:36:29.747Z"),
        (1_582_934_400_000, "2020-02", "2020-02-29T00:00:00.000Z"),
        (951_782_400_000, "2000-02", "2000-02-29T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12", "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(Month::from_epoch_millis(millis).expect("in range").to_string(), month);
        assert_eq!(timestamp_text(millis), text);
    }
    assert!(Month::from_epoch_millis(253_402_300_800_000).is_err());
    assert!(Month::from_epoch_millis(i64::MIN).is_err());
    assert!(Month::from_epoch_millis(i64::MAX).is_err());
}

#[test]
fn a_data_path_reads_as_documented() {
    let month = "2019-06".parse().expect("a month");
    let key = PartitionKey::new(month, "smartSpeaker").expect("a slug");
    let path = DataPath::new(key, "echo-dot_1", 0).expect("a slug");
    assert_eq!(path.to_string(), "data/month=2019-06/deviceClass=smartSpeaker/echo-dot_1-00000.parquet");
    let mut sha256 = [0; 32];
    sha256[..9].copy_from_slice(&[0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff]);
    let path = path.with_digest(NameDigest::of(&sha256));
    assert_eq!(
        path.to_string(),
        "data/month=2019-06/deviceClass=smartSpeaker/echo-dot_1-00000-0123456789abcdef.parquet"
    );
    assert!(path.digest().is_some_and(|digest| digest.begins(&crate::digest::hex(&sha256))));
    let rejected = RejectedPath::new("one shot").expect("a name");
    assert_eq!(rejected.to_string(), "rejected/one shot.ndjson");
    let rejected = rejected.with_digest(NameDigest::of(&sha256));
    assert_eq!(rejected.to_string(), "rejected/one shot-0123456789abcdef.ndjson");
}

/// Device, number and digest of a file name; `None` when it is refused.
fn read(file: &str) -> Option<(String, u32, Option<String>)> {
    let path: DataPath = format!("data/month=2019-06/deviceClass=a/{file}.parquet").parse().ok()?;
    Some((path.device_name().to_owned(), path.number(), path.digest().map(|digest| digest.to_string())))
}

#[test]
fn a_device_may_be_called_like_a_number_or_a_digest() {
    let digest = "0123456789abcdef";
    let read_as = |file: &str, device: &str, number, digest: Option<&str>| {
        let expected = Some((device.to_owned(), number, digest.map(str::to_owned)));
        assert_eq!(read(file), expected, "{file}");
    };
    read_as("x-00001", "x", 1, None);
    read_as("x-00001-00002", "x-00001", 2, None);
    read_as("x-00001-0123456789abcdef", "x", 1, Some(digest));
    read_as("x-00001-00002-0123456789abcdef", "x-00001", 2, Some(digest));
    read_as("x-0123456789abcdef-00001", "x-0123456789abcdef", 1, None);
    read_as("x-00001-0123456789abcdef-00002", "x-00001-0123456789abcdef", 2, None);
    read_as("x-00001-1234567890123456-00002-0123456789abcdef", "x-00001-1234567890123456", 2, Some(digest));
    read_as("00001-00002", "00001", 2, None);
    read_as("x-00001-1234567890123456", "x", 1, Some("1234567890123456"));
    for refused in [
        "0123456789abcdef",
        "x-0123456789abcdef",
        "00001-0123456789abcdef",
        "-00001-0123456789abcdef",
        "x-00001-0123456789ABCDEF",
        "x-00001-0123456789abcde",
        "x-00001-0123456789abcdef0",
        "x-00001-+123456789abcdef",
        "x-00001-0123456789abcdeg",
        "x-00001--0123456789abcdef",
        "x-00001-0123456789abcdef-",
        "x-0001-0123456789abcdef",
        "x00001-0123456789abcdef",
        "x-00001_0123456789abcdef",
    ] {
        assert_eq!(read(refused), None, "{refused}");
    }
}

#[test]
fn a_dump_whose_name_leads_elsewhere_has_no_file() {
    for dump in ["", "../hub", "a/b", "/etc/passwd", "a\0b"] {
        assert!(matches!(RejectedPath::new(dump), Err(LayoutError::NotADump { .. })), "{dump:?}");
    }
    assert_eq!(RejectedPath::new("..").expect("no directory").to_string(), "rejected/...ndjson");
}

#[test]
fn strange_paths_are_refused() {
    for path in [
        "",
        "data/month=2019-06/deviceClass=a/../../x-00000.parquet",
        "data/month=2019-06/deviceClass=../x-00000.parquet",
        "data/month=2019-06/deviceClass=/x-00000.parquet",
        "data/month=2019-6/deviceClass=a/x-00000.parquet",
        "data/month=2019-13/deviceClass=a/x-00000.parquet",
        "data/month=+019-06/deviceClass=a/x-00000.parquet",
        "data/month=2019-06/deviceClass=a/x-0000.parquet",
        "data/month=2019-06/deviceClass=a/x-000000.parquet",
        "data/month=2019-06/deviceClass=a/-00000.parquet",
        "data/month=2019-06/deviceClass=a/.x-00000.parquet",
        "data/month=2019-06/deviceClass=a/x-00000.parquet/",
        "/data/month=2019-06/deviceClass=a/x-00000.parquet",
        "data/month=2019-06/deviceClass=a/x y-00000.parquet",
        "data/month=2019-06/deviceClass=a/x-00000.Parquet",
        "data/month=2019-06/deviceClass=a/x\0-00000.parquet",
    ] {
        assert!(path.parse::<DataPath>().is_err(), "{path:?} was accepted");
    }
}

/// Endings of device names that look like numbers and digests.
fn tail() -> impl Strategy<Value = String> {
    "(-[0-9]{5}|-[0-9a-f]{16}|-|[.]parquet){0,3}"
}

proptest! {
    #[test]
    fn a_month_holds_exactly_its_instants(millis in -62_167_219_200_000i64..253_402_300_800_000) {
        let month = Month::from_epoch_millis(millis).expect("in range");
        prop_assert!(month.contains_millis(millis));
        prop_assert_eq!(Month::from_epoch_millis(month.start_millis()).expect("in range"), month);
        prop_assert_eq!(Month::from_epoch_millis(month.end_millis() - 1).expect("in range"), month);
        prop_assert!(!month.contains_millis(month.end_millis()));
        prop_assert_eq!(month.to_string().parse::<Month>().expect("a month"), month);
    }

    #[test]
    fn data_paths_round_trip(
        millis in 0i64..253_402_300_800_000,
        class in "[A-Za-z0-9][A-Za-z0-9._-]{0,20}",
        device in "[A-Za-z0-9][A-Za-z0-9._-]{0,20}",
        tail in tail(),
        number in 0u32..100_000,
        digest in prop::option::of(any::<u64>().prop_map(NameDigest)),
    ) {
        let key = PartitionKey::new(Month::from_epoch_millis(millis).expect("in range"), class).expect("a slug");
        let path = DataPath { digest, ..DataPath::new(key, device + &tail, number).expect("a slug") };
        prop_assert_eq!(path.to_string().parse::<DataPath>().expect("a data path"), path);
    }

    /// Whatever the digests are, and also where some names have none.
    #[test]
    fn paths_of_a_device_and_month_are_in_the_order_of_their_numbers(
        device in "[A-Za-z0-9][A-Za-z0-9._-]{0,8}",
        tail in tail(),
        numbers in prop::collection::btree_set(0u32..100_000, 2),
        digests in prop::array::uniform2(prop::option::of(any::<u64>().prop_map(NameDigest))),
    ) {
        let key = PartitionKey::new("2019-06".parse().expect("a month"), "a").expect("a slug");
        let paths: Vec<String> = numbers
            .into_iter()
            .zip(digests)
            .map(|(number, digest)| {
                let path = DataPath::new(key.clone(), format!("{device}{tail}"), number).expect("a slug");
                DataPath { digest, ..path }.to_string()
            })
            .collect();
        prop_assert!(paths[0] < paths[1], "{paths:?}");
    }

    #[test]
    fn whatever_parses_is_written_the_same(
        month in "[0-9]{4}-[0-9]{2}",
        class in "[a-z./]{1,4}",
        file in "[a-z.-]{1,4}(-[0-9]{4,6}){1,2}(-[0-9a-fA-F]{15,17})?",
    ) {
        let text = format!("data/month={month}/deviceClass={class}/{file}.parquet");
        if let Ok(path) = text.parse::<DataPath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
