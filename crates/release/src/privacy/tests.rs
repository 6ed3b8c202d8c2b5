use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray,
};
use flowlake_partition::manifest::{
    DataFile, Manifest, Privacy, Release, SUMS_FILE, Tool, Totals, Treatment,
};
use flowlake_partition::publish::{Publication, PublishMode};
use flowlake_partition::rewrite::{FileLayout, FileRewriter};
use flowlake_partition::scan::{DataFileRows, batch_schema};
use flowlake_partition::sums::sha256sums;
use flowlake_partition::verify::{VerifyOptions, verify};
use flowlake_store::LakeStore;
use fs_err as fs;
use serde_json::json;

use super::*;

/// 2019-06-25 00:00 UTC.
const START: i64 = 1_561_420_800_000;
/// Rows of a row group.
const BLOCK: usize = 65_536;
static NEVER: AtomicBool = AtomicBool::new(false);

fn mac(row: usize) -> String {
    format!("00:1a:2b:3c:4d:{:02x}", row % 23)
}

fn ip(row: usize) -> String {
    if row.is_multiple_of(5) {
        format!("fe80::21a:2bff:fe3c:{:x}", row % 777)
    } else {
        format!("192.0.{}.{}", row % 3, row % 251)
    }
}

/// The schema: both kinds of addresses, as text and numbers, and what is none.
fn columns() -> serde_json::Value {
    let column = |name: &str, data_type: &str, nullable: bool, source: &[&str], derivation: &str| {
        json!({
            "name": name, "type": data_type, "unit": null, "nullable": nullable, "role": "identifier",
            "description": "", "source": source, "derivation": derivation,
        })
    };
    json!([
        column(
            "flowStartMilliseconds",
            "timestamp[ms, UTC]",
            false,
            &["flowStartMilliseconds"],
            "as written"
        ),
        column("sourceMacAddress", "string", false, &["sourceMacAddress"], "repaired: macTrailingColon"),
        column("peerMac", "string", true, &["destinationMacAddress"], "as written"),
        column("sourceIPv4Address", "string", false, &["sourceIPv4Address"], "as written"),
        column("peer", "string", true, &["destinationIPv4Address"], "as written"),
        column("peerNumber", "int64", true, &["destinationIPv4Address"], "32-bit value, if it is IPv4"),
        column("packets", "int32", false, &["packetTotalCount"], "as written"),
    ])
}

fn batch(manifest: &Manifest, first: usize, rows: usize) -> RecordBatch {
    let rows = first..first + rows;
    let present = |row: &usize| !row.is_multiple_of(11);
    let bits = |row: usize| ip(row).parse::<std::net::Ipv4Addr>().ok().map(|ip| i64::from(ip.to_bits()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMillisecondArray::from_iter_values(rows.clone().map(|row| START + row as i64))
                .with_timezone("UTC"),
        ),
        Arc::new(StringViewArray::from_iter_values(rows.clone().map(mac))),
        Arc::new(StringViewArray::from_iter(
            rows.clone().map(|row| Some(mac(row + 1)).filter(|_| present(&row))),
        )),
        Arc::new(StringViewArray::from_iter_values(rows.clone().map(ip))),
        Arc::new(StringViewArray::from_iter(
            rows.clone().map(|row| Some(ip(row + 9)).filter(|_| present(&row))),
        )),
        Arc::new(Int64Array::from_iter(rows.clone().map(|row| bits(row + 9)))),
        Arc::new(Int32Array::from_iter_values(rows.map(|row| row as i32 % 100))),
    ];
    RecordBatch::try_new(batch_schema(&manifest.schema.columns), columns).expect("a batch")
}

fn manifest() -> Manifest {
    let evidence = |value: &str| {
        json!({ "rows": 1, "nulls": 0, "distinct": 1, "distinctIsEstimate": false, "contradicted": false,
            "mostFrequent": { "value": value, "rows": 1, "share": 1.0 } })
    };
    let dropped = |name: &str, value: &str| json!({ "name": name, "reason": "noise", "detail": "", "evidence": evidence(value) });
    let manifest = json!({
        "formatVersion": 1,
        "tool": { "name": "flowlake", "version": "0.0.0" },
        "dataset": { "name": "test", "title": "", "licence": "", "citation": "", "url": "" },
        "recipe": { "name": "test", "digest": "0".repeat(64) },
        "schema": { "columns": columns(), "partitionBy": [] },
        "droppedColumns": [
            dropped("sourceMacAddress", "00:1a:2b:3c:4d:01"),
            dropped("destinationIPv4Address", "192.0.1.1"),
            dropped("collectorName", "C1"),
        ],
        "rowAccounting": { "read": 0, "kept": 0, "removed": [], "rejected": 2 },
        "repairs": [],
        "notEncoded": [{ "column": "peerNumber", "reason": "ipv6", "values": 5 }],
        "sources": [],
        "files": [],
        "totals": { "dumps": 2, "inputBytes": 0, "files": 0, "rows": 0, "bytes": 0 },
        "warnings": [{ "kind": "linesRejected", "subject": "echo",
            "message": "dump echo: 2 lines rejected, kept in rejected/echo-0123456789abcdef.ndjson" }],
        "configuration": {
            "catalogue": { "sha256": "1".repeat(64), "text": "mac = \"00:1a:2b:3c:4d:05\"" },
            "recipe": { "sha256": "0".repeat(64), "text": "name = \"test\" # such as 0.0.0.0" },
        },
    });
    serde_json::from_value(manifest).expect("a manifest")
}

/// A lake of two devices, one with two files of a month.
fn lake(root: &Path) -> (LakeStore, Manifest) {
    let mut manifest = manifest();
    let layout = FileLayout {
        bloom_filter_columns: ["sourceMacAddress", "peer"].map(str::to_owned).into(),
        key_value_metadata: vec![("flowlake.dataset".to_owned(), "test".to_owned())],
        ..FileLayout::default()
    };
    for (device, number, first, rows) in
        [("echo", 0, 0, BLOCK), ("echo", 1, BLOCK, 100), ("hue", 0, 77, 3000)]
    {
        let path = format!("data/month=2019-06/deviceClass=test/{device}-{number:05}.parquet");
        let entry: DataFile = serde_json::from_value(json!({
            "path": path, "month": "2019-06", "deviceClass": "test", "deviceName": device, "rows": 0, "bytes": 0,
            "sha256": "", "contentDigest": "", "minFlowStart": "", "maxFlowStart": "", "rowGroups": 0,
        }))
        .expect("an entry");
        let mut writer =
            FileRewriter::create(root, &entry, &manifest.schema.columns, &layout).expect("it begins");
        writer.write(&batch(&manifest, first, rows)).expect("it is written");
        manifest.files.push(writer.finish().expect("it is closed").0);
    }
    for device in ["echo", "hue"] {
        let kept: u64 =
            manifest.files.iter().filter(|file| file.device_name == device).map(|file| file.rows).sum();
        let rejected = if device == "echo" { 2 } else { 0 };
        let lines = json!({ "path": "rejected/echo-0123456789abcdef.ndjson", "bytes": 9, "sha256": "" });
        let source = json!({
            "dump": device, "device": device, "deviceClass": "test", "parts": [],
            "records": { "flows": 0, "stats": 0, "tombstone": 0, "other": 0 },
            "trailer": null, "publishedRecords": null, "read": kept + rejected, "kept": kept, "removed": [],
            "rejected": rejected, "rejectedLines": if rejected > 0 { lines } else { json!(null) },
            "directions": { "fromDevice": 0, "toDevice": 0, "both": 0, "neither": 0 },
            "firstFlowStart": null, "lastFlowStart": null,
        });
        manifest.sources.push(serde_json::from_value(source).expect("a source"));
    }
    let rows = manifest.files.iter().map(|file| file.rows).sum();
    manifest.row_accounting.kept = rows;
    manifest.row_accounting.read = rows + 2;
    manifest.totals = Totals { files: 3, rows, ..manifest.totals };
    (LakeStore::Directory(root.to_owned()), manifest)
}

fn key(text: &str) -> Key {
    Key::from_file_bytes(text.as_bytes()).expect("a key")
}

fn both(key_text: &str) -> PrivacyOptions {
    PrivacyOptions {
        mac: MacTreatment::Hmac,
        ip: IpTreatment::IpcryptPfx,
        key: Some(key(key_text)),
        ..PrivacyOptions::default()
    }
}

/// Releases the lake at `lake` as `target` and checks the release.
fn release(
    lake: &LakeStore,
    manifest: &Manifest,
    options: &PrivacyOptions,
    jobs: usize,
    target: &Path,
) -> Manifest {
    let plan = PrivacyPlan::new(options, manifest).expect("a plan");
    let target = LakeStore::Directory(target.to_owned());
    let mut publication = Publication::begin(&target, PublishMode::Fresh).expect("it begins");
    let Pseudonymised { mut manifest, privacy } =
        pseudonymise(lake, manifest, &plan, &publication, jobs, &NEVER).expect("it is written");
    manifest.release = Some(Release {
        version: "1.0.0".to_owned(),
        date: None,
        tool: Tool { name: "flowlake".to_owned(), version: "0.0.0".to_owned() },
        redistribution: true,
        privacy: Some(privacy),
        documents: vec![],
    });
    let sums = sha256sums(&manifest, [], &manifest.written().expect("JSON").sha256());
    publication.add_document(SUMS_FILE, sums.into_bytes()).expect("it is written");
    let left = publication.publish(&manifest).expect("it is published");
    assert!(left.is_empty());
    let report = verify(&target, VerifyOptions::default()).expect("it can be checked");
    assert_eq!(report.differences, []);
    manifest
}

/// All values of a column of text, in the order of the lake.
fn texts(lake: &LakeStore, manifest: &Manifest, name: &str) -> Vec<Option<String>> {
    let mut texts = Vec::new();
    for entry in &manifest.files {
        for batch in DataFileRows::open(lake, &manifest.schema.columns, entry).expect("it opens") {
            let batch = batch.expect("it reads");
            let column = batch.column_by_name(name).expect("a column");
            match column.as_string_view_opt() {
                Some(column) => texts.extend(column.iter().map(|text| text.map(str::to_owned))),
                None => {
                    let numbers = column.as_primitive::<Int64Type>().iter();
                    texts.extend(numbers.map(|number| number.map(|number| number.to_string())));
                }
            }
        }
    }
    texts
}

fn bytes(root: &Path, manifest: &Manifest) -> BTreeMap<String, Vec<u8>> {
    let read = |file: &DataFile| (file.path.clone(), fs::read(root.join(&file.path)).expect("it is there"));
    manifest.files.iter().map(read).collect()
}

#[test]
fn pseudonyms_take_the_place_of_addresses_and_nothing_else_changes() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, lake) = lake(&directory.path().join("lake"));
    let target = directory.path().join("release");
    let released = release(&store, &lake, &both("sixteen bytes ok"), 2, &target);
    let target = LakeStore::Directory(target);
    let key = key("sixteen bytes ok");
    let digest = key.digests(addresses::Kind::Mac);
    let cipher = key.ipcrypt_pfx();
    for name in ["sourceMacAddress", "peerMac"] {
        let expected: Vec<_> =
            texts(&store, &lake, name).iter().map(|mac| mac.as_ref().map(|mac| digest.of(mac))).collect();
        assert!(texts(&target, &released, name) == expected, "{name}");
    }
    for name in ["sourceIPv4Address", "peer"] {
        let expected: Vec<_> = texts(&store, &lake, name)
            .iter()
            .map(|ip| Some(cipher.encrypt_ipaddr(ip.as_ref()?.parse().expect("an address")).to_string()))
            .collect();
        assert!(texts(&target, &released, name) == expected, "{name}");
    }
    // The same address has the same pseudonym as text and as a number.
    for (text, number) in
        texts(&target, &released, "peer").into_iter().zip(texts(&target, &released, "peerNumber"))
    {
        if let (Some(text), Some(number)) = (text, number) {
            let ip: std::net::Ipv4Addr = text.parse().expect("an IPv4 address");
            assert_eq!(ip.to_bits().to_string(), number);
        }
    }
    assert_eq!(
        (released.totals.rows, released.files.len(), &released.row_accounting),
        (lake.totals.rows, 3, &lake.row_accounting)
    );
    for (old, new) in lake.files.iter().zip(&released.files) {
        assert_eq!((&old.min_flow_start, &old.max_flow_start), (&new.min_flow_start, &new.max_flow_start));
        assert_eq!((old.rows, old.row_groups), (new.rows, new.row_groups));
        assert_ne!(old.content_digest, new.content_digest);
    }
    let derivations: Vec<&str> =
        released.schema.columns.iter().map(|column| column.derivation.as_str()).collect();
    assert_eq!(derivations[1], "repaired: macTrailingColon; pseudonymised with HMAC-SHA-256");
    assert_eq!(derivations[5], "32-bit value, if it is IPv4; pseudonymised with ipcrypt-pfx");
    assert_eq!(derivations[6], "as written");
    let privacy = released.release.and_then(|release| release.privacy).expect("it says so");
    assert_eq!(privacy.key_check, Some(key.check()));
    assert_eq!(privacy.columns.len(), 5);
}

#[test]
fn no_address_is_left_anywhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, lake) = lake(&directory.path().join("lake"));
    let target = directory.path().join("release");
    let released = release(&store, &lake, &both("sixteen bytes ok"), 2, &target);
    let mut originals = BTreeSet::new();
    let mut found = BTreeSet::new();
    let at = LakeStore::Directory(target.clone());
    for name in ["sourceMacAddress", "peerMac", "sourceIPv4Address", "peer", "peerNumber"] {
        originals.extend(texts(&store, &lake, name).into_iter().flatten());
        found.extend(texts(&at, &released, name).into_iter().flatten());
    }
    assert_eq!(originals.intersection(&found).next(), None);
    // Statistics, bloom filters and metadata of the footers are not compressed.
    let mut everything: Vec<Vec<u8>> = bytes(&target, &released).into_values().collect();
    everything.push(fs::read(target.join("manifest.json")).expect("it is there"));
    let mut searched = 0;
    // Short ones could be part of a pseudonym, as 192.0.2.1 is of 192.0.2.19.
    for original in originals.iter().filter(|text| text.contains([':', '.']) && text.len() >= 12) {
        for bytes in &everything {
            let is_there = bytes.windows(original.len()).any(|window| window == original.as_bytes());
            assert!(!is_there, "{original} is there");
            searched += 1;
        }
    }
    assert!(searched > 1000, "{searched}");
    for number in texts(&store, &lake, "peerNumber").into_iter().flatten().take(3) {
        let number: i64 = number.parse().expect("a number");
        let stored = number.to_le_bytes();
        let footers = everything.iter().map(|bytes| &bytes[bytes.len().saturating_sub(16 * 1024)..]);
        assert!(footers.into_iter().all(|footer| !footer.windows(8).any(|window| window == stored)));
    }
    assert_eq!(released.dropped_columns[0].evidence.most_frequent, None);
    assert_eq!(released.dropped_columns[1].evidence.most_frequent, None);
    assert!(released.dropped_columns[2].evidence.most_frequent.is_some());
    assert!(released.sources.iter().all(|source| source.rejected_lines.is_none()));
    assert_eq!(released.warnings[0].message, "dump echo: 2 lines rejected, withheld from this release");
    let configuration = released.configuration.expect("it is kept");
    assert_eq!((configuration.catalogue.text, configuration.catalogue.sha256), (None, None));
    assert!(configuration.recipe.text.is_some());
}

#[test]
fn bytes_depend_on_the_key_and_not_on_the_number_of_threads() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, lake) = lake(&directory.path().join("lake"));
    let made = |name: &str, options: &PrivacyOptions, jobs| {
        let target = directory.path().join(name);
        let released = release(&store, &lake, options, jobs, &target);
        (bytes(&target, &released), released)
    };
    let (first, first_manifest) = made("first", &both("sixteen bytes ok"), 1);
    let (again, again_manifest) = made("again", &both("sixteen bytes ok\n"), 4);
    assert!(first == again && first_manifest == again_manifest);
    let (other, _) = made("other", &both("another key of mine"), 4);
    assert!(first.keys().all(|path| !other.contains_key(path)));
    let digests = PrivacyOptions {
        ip: IpTreatment::Hmac,
        drop: vec!["peerNumber".to_owned()],
        key: Some(key("sixteen bytes ok")),
        ..PrivacyOptions::default()
    };
    let (_, released) = made("digests", &digests, 2);
    let at = LakeStore::Directory(directory.path().join("digests"));
    let peers: BTreeSet<_> = texts(&at, &released, "peer").into_iter().flatten().collect();
    assert!(peers.iter().all(|peer| peer.len() == 32 && peer.bytes().all(|byte| byte.is_ascii_hexdigit())));
    let before: BTreeSet<_> = texts(&store, &lake, "peer").into_iter().flatten().collect();
    assert_eq!(peers.len(), before.len());
    // Nothing of MAC addresses was asked for.
    assert_eq!(texts(&at, &released, "peerMac"), texts(&store, &lake, "peerMac"));
    assert!(released.configuration.expect("it is kept").catalogue.text.is_some());
    assert!(released.not_encoded.is_empty());
}

#[test]
fn columns_that_are_left_out_are_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, lake) = lake(&directory.path().join("lake"));
    let options = PrivacyOptions {
        mac: MacTreatment::Drop,
        ip: IpTreatment::Drop,
        drop: vec!["packets".to_owned()],
        key: None,
    };
    let released = release(&store, &lake, &options, 2, &directory.path().join("release"));
    assert_eq!(released.schema.columns.len(), 1);
    let privacy = released.release.and_then(|release| release.privacy).expect("it says so");
    assert!(privacy.columns.iter().all(|column| column.treatment == Treatment::Dropped));
    assert_eq!((privacy.columns.len(), privacy.key_check, privacy.rejected_lines_withheld), (6, None, true));
}

#[test]
fn a_lake_that_is_damaged_or_a_stop_ends_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, mut lake) = lake(&directory.path().join("lake"));
    let plan = PrivacyPlan::new(&both("sixteen bytes ok"), &lake).expect("a plan");
    let attempt = |lake: &Manifest, name: &str, stopped| {
        let target = LakeStore::Directory(directory.path().join(name));
        let publication = Publication::begin(&target, PublishMode::Fresh).expect("it begins");
        pseudonymise(&store, lake, &plan, &publication, 2, &AtomicBool::new(stopped)).expect_err("it ends")
    };
    assert!(matches!(attempt(&lake, "a", true), PrivacyError::Interrupted));
    lake.files[1].content_digest = "0".repeat(64);
    assert!(matches!(attempt(&lake, "b", false), PrivacyError::Read(_)));
}

#[test]
fn requests_that_cannot_be_met_are_refused() {
    let lake = manifest();
    let refused = |options: PrivacyOptions| PrivacyPlan::new(&options, &lake).expect_err("refused");
    let none = PrivacyOptions::default;
    let a_key = || Some(key("sixteen bytes ok"));
    let drop = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let named = |column: &str| column.to_owned();
    assert_eq!(
        refused(PrivacyOptions { drop: drop(&["month"]), ..none() }),
        PlanError::NoSuchColumn { column: named("month") }
    );
    assert_eq!(
        refused(PrivacyOptions { drop: drop(&["flowStartMilliseconds"]), ..none() }),
        PlanError::FlowStart { column: named("flowStartMilliseconds") }
    );
    assert_eq!(refused(PrivacyOptions { mac: MacTreatment::Hmac, ..none() }), PlanError::NoKey);
    assert_eq!(
        refused(PrivacyOptions { mac: MacTreatment::Drop, key: a_key(), ..none() }),
        PlanError::KeyNotUsed
    );
    assert_eq!(
        refused(PrivacyOptions { ip: IpTreatment::Hmac, key: a_key(), ..none() }),
        PlanError::DigestOfNumbers { column: named("peerNumber") }
    );
    // Without columns there are still those of the catalogue, and evidence.
    let macs = drop(&["sourceMacAddress", "peerMac"]);
    let options = PrivacyOptions { mac: MacTreatment::Hmac, key: a_key(), drop: macs, ..none() };
    assert!(PrivacyPlan::new(&options, &lake).expect("a plan").catalogue_names_hidden);
    let mut bare = lake.clone();
    (bare.configuration, bare.dropped_columns) = (None, vec![]);
    let refusal = PrivacyPlan::new(&options, &bare).expect_err("refused");
    assert_eq!(refusal, PlanError::NothingToTreat { kind: "MAC" });

    let with = |change: &dyn Fn(&mut Manifest)| {
        let mut lake = manifest();
        change(&mut lake);
        PrivacyPlan::new(&both("sixteen bytes ok"), &lake)
    };
    let derived = with(&|lake| {
        lake.schema.columns[6].source = drop(&["destinationIPv4Address"]);
        lake.schema.columns[6].derivation = "1 if destinationIPv4Address is 192.0.2.1, else 0".to_owned();
    });
    let field = named("destinationIPv4Address");
    assert_eq!(derived.expect_err("refused"), PlanError::Derived { column: named("packets"), field });
    for (position, derivation, fill) in [
        (5, "32-bit value; 0 where missing", "0"),
        (4, "as written; \"0.0.0.0\" where missing", "\"0.0.0.0\""),
        (2, "as written; \"00:00:00:00:00:00\" where missing", "\"00:00:00:00:00:00\""),
    ] {
        let found = with(&|lake| lake.schema.columns[position].derivation = derivation.to_owned());
        let column = lake.schema.columns[position].name.clone();
        let expected = PlanError::AmbiguousFill { column, fill: fill.to_owned() };
        assert_eq!(found.expect_err("refused"), expected);
    }
    for derivation in ["32-bit value; -1 where missing", "as written; \"none\" where missing"] {
        let position = if derivation.contains("-1") { 5 } else { 4 };
        with(&|lake| lake.schema.columns[position].derivation = derivation.to_owned()).expect("a plan");
    }
}

#[test]
fn what_is_hidden_by_halves_is_warned_of() {
    let lake = manifest();
    let warnings =
        |options: PrivacyOptions| PrivacyPlan::new(&options, &lake).expect("a plan").warnings().join("\n");
    let found = warnings(PrivacyOptions { mac: MacTreatment::Drop, ..PrivacyOptions::default() });
    assert!(
        found.contains("IPv6 addresses can contain MAC addresses") && found.contains("peer, sourceIPv4"),
        "{found}"
    );
    let found = warnings(PrivacyOptions { ip: IpTreatment::Drop, ..PrivacyOptions::default() });
    assert!(found.contains("MAC addresses tell IPv6 addresses"), "{found}");
    let drop = vec!["peerMac".to_owned()];
    let found = warnings(PrivacyOptions { drop, ..PrivacyOptions::default() });
    assert!(found.contains("some columns of MAC addresses are left out"), "{found}");
    assert_eq!(warnings(both("sixteen bytes ok")), "");
    let mut named = manifest();
    named.configuration.as_mut().expect("it is kept").recipe.text = Some("value = \"192.0.2.7\"".to_owned());
    let plan = PrivacyPlan::new(&both("sixteen bytes ok"), &named).expect("a plan");
    assert!(plan.warnings()[0].contains("the recipe names addresses"));
    let Privacy { columns, .. } = plan.privacy();
    assert_eq!(columns.len(), 5);
}
