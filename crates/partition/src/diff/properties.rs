//! What holds of any two manifests.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::manifest::{
    Column, Configuration, ConfigurationFile, Document, Part, Privacy, PrivateColumn, RejectedLines, Release,
    RemovedRows, Role, Selection, Source, Treatment, Warning,
};
use crate::testing;

/// Some of few names, in any order.
fn names() -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(vec!["p", "q", "r", "s", "t", "u"], 0..=6)
        .prop_shuffle()
        .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

/// Names with numbers.
fn numbers() -> impl Strategy<Value = Vec<(String, u64)>> {
    names().prop_flat_map(|names| {
        let count = names.len();
        (Just(names), prop::collection::vec(0..3_u64, count))
            .prop_map(|(names, numbers)| names.into_iter().zip(numbers).collect())
    })
}

/// A text of few lines, or none, under one of few digests. Whether the digest is that of the text does not matter here.
fn configuration_file() -> impl Strategy<Value = ConfigurationFile> {
    let text = prop::collection::vec(0..3_u32, 0..12).prop_map(|lines| {
        // Lines end in various ways, the last one too.
        lines.into_iter().map(|line| ["a\n", "b\n", "b"][line as usize]).collect()
    });
    (prop::option::of(0..2_u32), prop::option::of(text)).prop_map(|(sha256, text)| ConfigurationFile {
        sha256: sha256.map(|sha256| sha256.to_string()),
        text,
    })
}

/// What was done to some columns.
fn privacy() -> impl Strategy<Value = Privacy> {
    let treatments = [Treatment::Dropped, Treatment::HmacSha256, Treatment::IpcryptPfx];
    let treatment = || prop::option::of(prop::sample::select(treatments.to_vec()));
    (treatment(), treatment(), numbers(), prop::option::of(0..2_u32), any::<bool>()).prop_map(
        move |(mac, ip, columns, key_check, rejected_lines_withheld)| Privacy {
            mac,
            ip,
            drop: columns.iter().map(|(name, _)| name.clone()).take(1).collect(),
            columns: columns
                .into_iter()
                .map(|(name, number)| PrivateColumn { name, treatment: treatments[number as usize] })
                .collect(),
            key_check: key_check.map(|key_check| key_check.to_string()),
            rejected_lines_withheld,
        },
    )
}

fn release() -> impl Strategy<Value = Release> {
    let documents = numbers().prop_map(|documents| {
        let document =
            |(path, number): (String, u64)| Document { path, bytes: number / 2, sha256: number.to_string() };
        documents.into_iter().map(document).collect()
    });
    let texts = (0..2_u32, prop::option::of(0..2_u32), 0..2_u32, any::<bool>());
    (texts, prop::option::of(privacy()), documents).prop_map(
        |((version, date, tool, redistribution), privacy, documents)| Release {
            version: version.to_string(),
            date: date.map(|date| date.to_string()),
            tool: Tool { name: "flowlake".to_owned(), version: tool.to_string() },
            redistribution,
            privacy,
            documents,
        },
    )
}

/// Files of few devices and months, with few contents, so that two lakes have some of them in common.
fn files() -> impl Strategy<Value = Vec<DataFile>> {
    let file = (0..2_u32, 0..2_u32, 0..3_u64, 0..3_u32, any::<bool>());
    prop::collection::vec(file, 0..8).prop_map(|files| {
        let files = files.into_iter().enumerate().map(|(number, (month, device, rows, encoding, digest))| {
            let content = format!("{device}/{rows}/{}", encoding / 2);
            let sha256 = format!("{content}/{encoding}");
            let digest = if digest { format!("-{encoding}") } else { String::new() };
            DataFile {
                path: format!("data/{month}/{device}-{number:05}{digest}.parquet"),
                month: month.to_string().into(),
                device_class: "c".into(),
                device_name: device.to_string().into(),
                rows,
                bytes: rows + u64::from(encoding),
                sha256,
                content_digest: content,
                min_flow_start: "".into(),
                max_flow_start: "".into(),
                row_groups: u64::from(rows > 1),
            }
        });
        files.collect()
    })
}

prop_compose! {
    fn manifest()(
        files in files(),
        texts in (0..2_u32, 0..2_u32, 0..2_u32),
        selection in prop::option::of(names()),
        columns in numbers(),
        directories in numbers(),
        rules in numbers(),
        repairs in numbers(),
        sources in numbers(),
        warnings in numbers(),
        configuration in prop::option::of((configuration_file(), configuration_file())),
        release in prop::option::of(release()),
        content_digest in prop::option::of(0..2_u32),
    ) -> Manifest {
        let mut manifest = testing::manifest(files);
        manifest.tool.version = texts.0.to_string();
        manifest.dataset.licence = texts.1.to_string();
        manifest.recipe.digest = texts.2.to_string();
        manifest.selection = selection.map(|devices| Selection { devices, ..Selection::default() });
        let model = manifest.schema.columns[0].clone();
        let column = |(name, number): (String, u64)| Column {
            name,
            nullable: number == 1,
            role: if number == 2 { Role::Time } else { Role::Feature },
            ..model.clone()
        };
        manifest.schema.columns = columns.into_iter().map(column).collect();
        // No column is in a file and a directory.
        let in_files: BTreeSet<_> = manifest.schema.columns.iter().map(|column| column.name.clone()).collect();
        let directories = directories.into_iter().filter(|(name, _)| !in_files.contains(name));
        manifest.schema.partition_by = directories.map(column).collect();
        manifest.row_accounting.removed =
            rules.into_iter().map(|(rule, rows)| RemovedRows { rule, rows }).collect();
        manifest.repairs = repairs
            .into_iter()
            .map(|(name, values)| crate::manifest::Repair { name, values })
            .collect();
        let model = manifest.sources[0].clone();
        manifest.sources = sources.into_iter().map(|(dump, number)| Source {
            dump,
            parts: vec![Part { name: "x".to_owned(), bytes: number / 2, sha256: String::new() }],
            rejected_lines: (number > 0).then(|| RejectedLines {
                path: number.to_string(),
                bytes: 1,
                sha256: String::new(),
            }),
            kept: number % 2,
            ..model.clone()
        }).collect();
        manifest.warnings = warnings.into_iter().map(|(kind, number)| Warning {
            kind,
            subject: "x".to_owned(),
            message: number.to_string(),
        }).collect();
        manifest.configuration =
            configuration.map(|(catalogue, recipe)| Configuration { catalogue, recipe });
        manifest.release = release;
        manifest.totals.content_digest = content_digest.map(|digest| digest.to_string());
        manifest
    }
}

/// Two manifests of which the second has some parts of the first: one alone that differs must be found as well as all.
fn pair() -> impl Strategy<Value = (Manifest, Manifest)> {
    (manifest(), manifest(), prop::collection::vec(prop::bool::weighted(0.8), 13)).prop_map(
        |(a, mut b, same)| {
            let mut same = same.into_iter();
            let mut take = |part: &mut dyn FnMut()| {
                if same.next() == Some(true) {
                    part();
                }
            };
            take(&mut || b.tool = a.tool.clone());
            take(&mut || b.dataset = a.dataset.clone());
            take(&mut || b.recipe = a.recipe.clone());
            take(&mut || b.selection = a.selection.clone());
            take(&mut || b.schema = a.schema.clone());
            take(&mut || b.row_accounting = a.row_accounting.clone());
            take(&mut || b.repairs = a.repairs.clone());
            take(&mut || b.sources = a.sources.clone());
            take(&mut || {
                let content_digest = b.totals.content_digest.clone();
                (b.files, b.totals) = (a.files.clone(), a.totals.clone());
                b.totals.content_digest = content_digest;
            });
            take(&mut || b.totals.content_digest = a.totals.content_digest.clone());
            take(&mut || b.configuration = a.configuration.clone());
            take(&mut || b.release = a.release.clone());
            take(&mut || b.warnings = a.warnings.clone());
            (a, b)
        },
    )
}

/// The comparison with the sides exchanged.
fn mirrored(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let exchanged = |(key, value): (&String, &Value)| {
                let key = match key.as_str() {
                    "a" => "b",
                    "b" => "a",
                    "onlyInA" => "onlyInB",
                    "onlyInB" => "onlyInA",
                    key => key,
                };
                let value = match (key, value.as_i64()) {
                    ("difference", Some(number)) => Value::from(-number),
                    _ => mirrored(value),
                };
                (key.to_owned(), value)
            };
            Value::Object(fields.iter().map(exchanged).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(mirrored).collect()),
        other => other.clone(),
    }
}

fn json(diff: &Diff) -> Value {
    serde_json::to_value(diff).expect("JSON")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_lake_does_not_differ_from_itself(a in manifest()) {
        let diff = diff(&a, &a);
        prop_assert_eq!(diff.verdict, Verdict::Same);
        prop_assert!(diff.is_empty());
        prop_assert_eq!(diff.files.unchanged, a.files.len() as u64);
    }

    #[test]
    fn lakes_are_the_same_only_if_their_manifests_are((a, b) in pair()) {
        prop_assert_eq!(diff(&a, &b).verdict == Verdict::Same, a == b);
    }

    #[test]
    fn what_was_written_and_released_leaves_the_rows_as_they_are_unless_identifiers_do_not(
        (a, b) in pair(),
    ) {
        let mut with_b = a.clone();
        with_b.configuration = b.configuration;
        with_b.recipe = b.recipe;
        with_b.release = b.release.map(|release| Release {
            redistribution: a.release.as_ref().map_or(release.redistribution, |release| release.redistribution),
            privacy: a.release.as_ref().and_then(|release| release.privacy.clone()),
            ..release
        });
        let diff = diff(&a, &with_b);
        let privacy = |manifest: &Manifest| manifest.release.as_ref().and_then(|release| release.privacy.clone());
        let other_privacy = privacy(&a) != privacy(&with_b);
        // Entries in another order are always a difference.
        let different = other_privacy || !diff.order.is_empty();
        prop_assert_eq!(diff.verdict == Verdict::Different, different);
    }

    #[test]
    fn exchanging_the_sides_exchanges_the_sides_alone((a, b) in pair()) {
        prop_assert_eq!(mirrored(&json(&diff(&a, &b))), json(&diff(&b, &a)));
    }

    #[test]
    fn differences_of_rows_sum_up_to_that_of_the_totals((a, b) in pair()) {
        let diff = diff(&a, &b);
        let sum: i128 = diff.rows.partitions.iter().map(|partition| partition.counts.difference).sum();
        prop_assert_eq!(sum, i128::from(b.totals.rows) - i128::from(a.totals.rows));
        let told = diff.rows.totals.iter().find(|total| total.name == "rows");
        prop_assert_eq!(sum, told.map_or(0, |total| total.counts.difference));
    }

    #[test]
    fn every_file_is_told_once((a, b) in pair()) {
        let FilesDiff { unchanged, same_bytes, other_encoding, other_content, rolled, only_in_a, only_in_b } =
            diff(&a, &b).files;
        let pairs = || same_bytes.iter().chain(&other_encoding).chain(&other_content);
        let told = |side: &Manifest, told: Vec<&DataFile>| {
            let all: Vec<&DataFile> = side.files.iter().collect();
            let found = all.iter().filter(|file| told.contains(file)).count();
            found == told.len() && found as u64 + unchanged == all.len() as u64
        };
        let of_a = pairs().map(|pair| &pair.a).chain(rolled.iter().flat_map(|rolled| &rolled.a)).chain(&only_in_a);
        prop_assert!(told(&a, of_a.collect()));
        let of_b = pairs().map(|pair| &pair.b).chain(rolled.iter().flat_map(|rolled| &rolled.b)).chain(&only_in_b);
        prop_assert!(told(&b, of_b.collect()));
    }

    #[test]
    fn only_the_column_that_was_put_elsewhere_is_said_to_have_moved(
        a in Just(["p", "q", "r", "s", "t", "u"].map(str::to_owned).to_vec()).prop_shuffle(),
        from in 0..6_usize,
        to in 0..6_usize,
    ) {
        let mut b = a.clone();
        let name = b.remove(from);
        b.insert(to, name);
        let with = |names: &[String]| {
            let mut manifest = testing::manifest(vec![]);
            let model = manifest.schema.columns[0].clone();
            manifest.schema.columns =
                names.iter().map(|name| Column { name: name.clone(), ..model.clone() }).collect();
            manifest
        };
        let diff = diff(&with(&a), &with(&b));
        prop_assert_eq!(diff.schema.columns.len(), usize::from(from != to));
    }
}
