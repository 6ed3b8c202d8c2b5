//! `datapackage.json`: the release as a Data Package, version 2 (<https://datapackage.org>), which catalogues of data and
//! tools for tables read.
//!
//! Each data file is a resource of its own: a resource of many files would have one digest and no place for month and class,
//! and readers of Parquet open only the first of its files. All have the schema in `tableschema.json`; in every resource it
//! would be about 10 KiB for each data file. Resources stand one a line, so that two releases can be compared by their lines.

use flowlake_partition::manifest::{Column, ColumnType, DataFile, Role};
use serde::Serialize;

use crate::Facts;
use crate::terms::{self, Creator};

/// Name of the document with the schema.
pub const SCHEMA_FILE: &str = "tableschema.json";

const PROFILE: &str = "https://datapackage.org/profiles/2.0/datapackage.json";

/// The Data Package of a release.
///
/// # Errors
/// None that can happen: it is serialised to text.
pub fn data_package(facts: &Facts<'_>) -> Result<String, serde_json::Error> {
    let head = serde_json::to_string_pretty(&head(facts))?;
    // The head is an object with keys; without its end there is room for one more.
    let mut text = head.strip_suffix("\n}").unwrap_or(&head).to_owned();
    text.push_str(",\n  \"resources\": [");
    for (number, file) in facts.manifest.files.iter().enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str("    ");
        text.push_str(&serde_json::to_string(&Resource::of(file))?);
    }
    text.push_str("\n  ]\n}\n");
    Ok(text)
}

/// What the columns of all its files are.
///
/// # Errors
/// None that can happen: it is serialised to text.
pub fn table_schema(facts: &Facts<'_>) -> Result<String, serde_json::Error> {
    let schema = TableSchema {
        fields: facts.manifest.schema.columns.iter().map(|column| Field::of(facts, column)).collect(),
        missing_values: [],
    };
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

fn head<'a>(facts: &Facts<'a>) -> Package<'a> {
    let dataset = &facts.manifest.dataset;
    let homepage = terms::web_address(&dataset.url);
    // The release holds the text of its licence, whatever else is known of it.
    let path = terms::licence_address(facts).unwrap_or_else(|| "LICENSE".to_owned());
    Package {
        profile: PROFILE,
        name: dataset.name.to_lowercase(),
        title: &dataset.title,
        description: terms::description(facts),
        version: &facts.release.version,
        created: facts.release.date.as_ref().map(|date| format!("{date}T00:00:00Z")),
        homepage,
        licenses: [Licence { name: terms::spdx_id(facts), path, title: &dataset.licence }],
        redistribution: facts.release.redistribution,
        contributors: Creator::all(facts).iter().map(Contributor::of).collect(),
        sources: [Source { title: &dataset.title, path: homepage }],
        citation: &dataset.citation,
        partition_by: &facts.manifest.schema.partition_by,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    #[serde(rename = "$schema")]
    profile: &'static str,
    name: String,
    title: &'a str,
    description: String,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<&'a str>,
    licenses: [Licence<'a>; 1],
    redistribution: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contributors: Vec<Contributor<'a>>,
    sources: [Source<'a>; 1],
    citation: &'a str,
    #[serde(serialize_with = "partition_columns")]
    partition_by: &'a [Column],
}

#[derive(Serialize)]
struct Licence<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    path: String,
    title: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contributor<'a> {
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<&'a str>,
    roles: [&'static str; 1],
}

impl<'a> Contributor<'a> {
    fn of(creator: &Creator<'a>) -> Self {
        let (given_name, family_name) = match *creator {
            Creator::Person { family, given } => (Some(given), Some(family)),
            Creator::Organisation(_) => (None, None),
        };
        Self { title: creator.full_name(), given_name, family_name, roles: ["creator"] }
    }
}

#[derive(Serialize)]
struct Source<'a> {
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource<'a> {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    path: &'a str,
    format: &'static str,
    mediatype: &'static str,
    /// The format calls this `bytes`. `frictionless` never counts them for Parquet and then reports that they are not what
    /// was stated, for every file.
    file_bytes: u64,
    hash: String,
    rows: u64,
    /// What the directories say, which is not inside the file.
    partition: Partition<'a>,
    schema: &'static str,
}

impl<'a> Resource<'a> {
    fn of(file: &'a DataFile) -> Self {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        let name = name.strip_suffix(".parquet").unwrap_or(name);
        Self {
            // Lower case is what the format recommends; the digest in the name keeps it apart from the others.
            name: name.to_lowercase(),
            kind: "table",
            path: &file.path,
            format: "parquet",
            mediatype: "application/vnd.apache.parquet",
            file_bytes: file.bytes,
            hash: format!("sha256:{}", file.sha256),
            rows: file.rows,
            partition: Partition { month: &file.month, device_class: &file.device_class },
            schema: SCHEMA_FILE,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Partition<'a> {
    month: &'a str,
    device_class: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TableSchema<'a> {
    fields: Vec<Field<'a>>,
    /// None: Parquet has nulls of its own, and an empty text is a value. Without this it would be taken for a null.
    missing_values: [&'static str; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Field<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    role: Role,
    constraints: Constraints,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_values: Option<[&'static str; 1]>,
}

#[derive(Serialize)]
struct Constraints {
    required: bool,
}

impl<'a> Field<'a> {
    fn of(facts: &Facts<'a>, column: &'a Column) -> Self {
        let kind = match column.data_type {
            ColumnType::String => "string",
            ColumnType::Int32 | ColumnType::Int64 => "integer",
            ColumnType::Float64 => "number",
            ColumnType::Date => "date",
            ColumnType::TimestampMillis => "datetime",
        };
        // `frictionless` reads Parquet by way of pandas, where a null among numbers is `nan` and one among times `NaT`.
        let missing = match column.data_type {
            _ if !column.nullable => None,
            ColumnType::Int32 | ColumnType::Int64 | ColumnType::Float64 => Some(["nan"]),
            ColumnType::TimestampMillis => Some(["NaT"]),
            ColumnType::String | ColumnType::Date => None,
        };
        Self {
            name: &column.name,
            kind,
            description: terms::column_description(facts, column),
            unit: column.unit.as_deref(),
            role: column.role,
            constraints: Constraints { required: !column.nullable },
            missing_values: missing,
        }
    }
}

/// The columns that are directories, as whoever reads only the head of the package must know them.
fn partition_columns<S: serde::Serializer>(columns: &&[Column], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct PartitionColumn<'a> {
        name: &'a str,
        r#type: &'static str,
        description: &'a str,
        role: Role,
    }
    serializer.collect_seq(columns.iter().map(|column| PartitionColumn {
        name: &column.name,
        r#type: "string",
        description: &column.description,
        role: column.role,
    }))
}

#[cfg(test)]
mod tests {
    use flowlake_partition::manifest::Treatment;
    use serde_json::{Value, json};

    use super::*;
    use crate::sample_facts::SampleFacts;

    fn read(sample: &SampleFacts) -> Value {
        let text = sample.with(data_package).expect("a document");
        assert!(text.ends_with("\n}\n"), "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    fn read_schema(sample: &SampleFacts) -> Value {
        let text = sample.with(table_schema).expect("a document");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn a_resource_is_a_data_file() {
        let sample = SampleFacts::new();
        let package = read(&sample);
        let resources = package["resources"].as_array().expect("a list");
        assert_eq!(resources.len(), 2);
        let second = &resources[1];
        assert_eq!(second["name"], "beta-00000-0123456789abcdef");
        assert_eq!(second["path"], sample.manifest.files[1].path.as_str());
        assert_eq!(second["hash"], format!("sha256:{}", sample.manifest.files[1].sha256));
        assert_eq!(second["partition"], json!({"month": "2019-07", "deviceClass": "plug"}));
        assert_eq!(second["rows"], 7);
        assert_eq!(second["schema"], "tableschema.json");
        let text = sample.with(data_package).expect("a document");
        assert_eq!(text.lines().filter(|line| line.contains("\"path\":\"data/")).count(), 2, "one a line");
    }

    #[test]
    fn nulls_are_told_from_values() {
        let schema = read_schema(&SampleFacts::new());
        assert_eq!(schema["missingValues"], json!([]));
        let told: Vec<_> = schema["fields"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|field| {
                let text = |key: &str| field[key].as_str().expect("text").to_owned();
                (
                    text("name"),
                    text("type"),
                    field["constraints"]["required"] == true,
                    field["missingValues"][0].clone(),
                )
            })
            .collect();
        let field =
            |name: &str, kind: &str, required, missing| (name.to_owned(), kind.to_owned(), required, missing);
        assert_eq!(
            told,
            [
                field("deviceName", "string", true, Value::Null),
                field("IoTIPAddress", "string", false, Value::Null),
                field("port", "integer", false, json!("nan")),
                field("octets", "integer", true, Value::Null),
                field("mean", "number", false, json!("nan")),
                field("day", "date", true, Value::Null),
                field("flowStart", "datetime", false, json!("NaT")),
            ]
        );
        assert_eq!(schema["fields"][3]["unit"], "B");
        assert_eq!(schema["fields"][3]["role"], "feature");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut sample = SampleFacts::new();
        sample.manifest.dataset.licence = "ask \"us\"\n".to_owned();
        sample.manifest.dataset.url = "nowhere".to_owned();
        sample.manifest.files.clear();
        sample.release.redistribution = false;
        let package = read(&sample);
        for key in ["homepage", "contributors", "created"] {
            assert_eq!(package.get(key), None, "{key}");
        }
        assert_eq!(package["licenses"], json!([{"path": "LICENSE", "title": "ask \"us\"\n"}]));
        assert_eq!(package["resources"], json!([]));
        assert_eq!(package["redistribution"], false);
        assert!(package["description"].as_str().is_some_and(|text| text.contains("Not to be redistributed")));
    }

    #[test]
    fn creators_and_what_was_done_to_columns_are_said() {
        let mut sample = SampleFacts::new();
        sample.creators = vec!["Doe, Jane".to_owned(), "Example \"Institute\"".to_owned()];
        sample.release.date = Some("2024-02-29".to_owned());
        sample.treat(&[("IoTIPAddress", Treatment::IpcryptPfx), ("port", Treatment::Dropped)]);
        let package = read(&sample);
        assert_eq!(
            package["contributors"],
            json!([
                {"title": "Jane Doe", "givenName": "Jane", "familyName": "Doe", "roles": ["creator"]},
                {"title": "Example \"Institute\"", "roles": ["creator"]},
            ])
        );
        assert_eq!(package["created"], "2024-02-29T00:00:00Z");
        assert_eq!(package["description"], "Flows of two devices. Left out for privacy: port.");
        let schema = read_schema(&sample);
        let fields = schema["fields"].as_array().expect("a list");
        assert!(fields[1]["description"].as_str().is_some_and(|text| text.contains("ipcrypt-pfx")));
        assert!(fields.iter().all(|field| field["name"] != "port"));
    }
}
