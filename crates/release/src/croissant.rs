//! `croissant.json`: the release for machines that train, in the format of MLCommons Croissant 1.0
//! (<https://docs.mlcommons.org/croissant/>). A reader of it, such as `mlcroissant`, iterates the rows of the release.
//!
//! The rows come from one set of files by a pattern, because a field can have only one source. Files of a set have no
//! digests in this format, so each data file is listed beside it, with its size and its digest. What the directories say,
//! `month` and `deviceClass`, is taken out of the path of each file by a regular expression; readers also filter by it
//! without opening the files of other months or classes.

use flowlake_partition::manifest::{Column, ColumnType, DataFile, Role};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::Facts;
use crate::terms::{self, Creator};

/// The version of the format: the first that has all that is needed, so that old readers understand it too.
const CONFORMS_TO: &str = "http://mlcommons.org/croissant/1.0";
const PARQUET: &str = "application/x-parquet";
const RECORDS: &str = "flows";
const FILES: &str = "data-files";
/// Every data file, for readers whose `*` stops at a `/` and for those whose does not.
const PATTERN: &str = "data/*/*/*.parquet";

/// The Croissant document of a release.
///
/// # Errors
/// None that can happen: it is serialised to text.
pub fn croissant(facts: &Facts<'_>) -> Result<String, serde_json::Error> {
    let dataset = &facts.manifest.dataset;
    let spoken = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let document = Document {
        context: Context,
        kind: "sc:Dataset",
        conforms_to: CONFORMS_TO,
        name: spoken(&dataset.title).unwrap_or_else(|| dataset.name.clone()),
        alternate_name: &dataset.name,
        description: terms::description(facts),
        license: terms::licence_address(facts).or_else(|| spoken(&dataset.licence)),
        usage_info: terms::redistribution(facts),
        url: terms::web_address(&dataset.url),
        version: &facts.release.version,
        date_published: facts.release.date.as_deref(),
        cite_as: spoken(&dataset.citation),
        creator: Creator::all(facts).iter().map(Agent::of).collect(),
        is_live_dataset: false,
        distribution: distribution(&facts.manifest.files),
        record_set: [RecordSet {
            kind: "cr:RecordSet",
            id: RECORDS,
            name: RECORDS,
            description: "One record a flow: the rows of all data files.",
            field: fields(facts),
        }],
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn distribution(files: &[DataFile]) -> Vec<Resource<'_>> {
    let set = Resource {
        kind: "cr:FileSet",
        id: FILES,
        name: FILES,
        description: Some("All data files; each is listed below with its size and digest."),
        content_url: None,
        content_size: None,
        encoding_format: PARQUET,
        sha256: None,
        includes: Some(PATTERN),
    };
    let each = files.iter().map(|file| Resource {
        kind: "cr:FileObject",
        id: &file.path,
        name: file.path.rsplit('/').next().unwrap_or(&file.path),
        description: None,
        content_url: Some(&file.path),
        content_size: Some(format!("{} B", file.bytes)),
        encoding_format: PARQUET,
        sha256: Some(&file.sha256),
        includes: None,
    });
    std::iter::once(set).chain(each).collect()
}

fn fields<'a>(facts: &Facts<'a>) -> Vec<Field<'a>> {
    let schema = &facts.manifest.schema;
    let inside = schema.columns.iter().map(|column| {
        let extract = Extract { column: Some(&column.name), file_property: None };
        field(facts, column, extract, None)
    });
    let in_path = schema.partition_by.iter().map(|column| {
        let extract = Extract { column: None, file_property: Some("fullpath") };
        // `.+` and not a class of characters: readers turn the expression into a pattern of file names to filter by it.
        let regex = format!("^data/(?:.+/)?{}=(.+?)/.+$", column.name);
        field(facts, column, extract, Some(Transform { regex }))
    });
    inside.chain(in_path).collect()
}

fn field<'a>(
    facts: &Facts<'a>,
    column: &'a Column,
    extract: Extract<'a>,
    transform: Option<Transform>,
) -> Field<'a> {
    let role = Property { kind: "sc:PropertyValue", name: "role", value: Said::Role(column.role) };
    let unit = column.unit.as_deref();
    let unit = unit.map(|unit| Property { kind: "sc:PropertyValue", name: "unit", value: Said::Text(unit) });
    Field {
        kind: "cr:Field",
        id: format!("{RECORDS}/{}", column.name),
        name: &column.name,
        description: terms::column_description(facts, column),
        data_type: data_type(column.data_type),
        additional_property: std::iter::once(role).chain(unit).collect(),
        source: Source { file_set: Reference { id: FILES }, extract, transform },
    }
}

fn data_type(data_type: ColumnType) -> &'static str {
    match data_type {
        ColumnType::String => "sc:Text",
        ColumnType::Int32 | ColumnType::Int64 => "sc:Integer",
        ColumnType::Float64 => "sc:Float",
        ColumnType::Date => "sc:Date",
        ColumnType::TimestampMillis => "sc:DateTime",
    }
}

/// What the keys mean: the context that the format prescribes, key for key, because readers warn of any other.
struct Context;

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, meaning) in CONTEXT {
            match meaning {
                Meaning::Is(iri) => map.serialize_entry(key, iri)?,
                Meaning::Typed(id, kind) => map.serialize_entry(key, &Typed { id, kind })?,
            }
        }
        map.end()
    }
}

enum Meaning {
    Is(&'static str),
    Typed(&'static str, &'static str),
}

#[derive(Serialize)]
struct Typed {
    #[serde(rename = "@id")]
    id: &'static str,
    #[serde(rename = "@type")]
    kind: &'static str,
}

const CONTEXT: [(&str, Meaning); 36] = [
    ("@language", Meaning::Is("en")),
    ("@vocab", Meaning::Is("https://schema.org/")),
    ("citeAs", Meaning::Is("cr:citeAs")),
    ("column", Meaning::Is("cr:column")),
    ("conformsTo", Meaning::Is("dct:conformsTo")),
    ("cr", Meaning::Is("http://mlcommons.org/croissant/")),
    ("rai", Meaning::Is("http://mlcommons.org/croissant/RAI/")),
    ("data", Meaning::Typed("cr:data", "@json")),
    ("dataType", Meaning::Typed("cr:dataType", "@vocab")),
    ("dct", Meaning::Is("http://purl.org/dc/terms/")),
    ("equivalentProperty", Meaning::Is("cr:equivalentProperty")),
    ("examples", Meaning::Typed("cr:examples", "@json")),
    ("extract", Meaning::Is("cr:extract")),
    ("field", Meaning::Is("cr:field")),
    ("fileProperty", Meaning::Is("cr:fileProperty")),
    ("fileObject", Meaning::Is("cr:fileObject")),
    ("fileSet", Meaning::Is("cr:fileSet")),
    ("format", Meaning::Is("cr:format")),
    ("includes", Meaning::Is("cr:includes")),
    ("isLiveDataset", Meaning::Is("cr:isLiveDataset")),
    ("jsonPath", Meaning::Is("cr:jsonPath")),
    ("key", Meaning::Is("cr:key")),
    ("md5", Meaning::Is("cr:md5")),
    ("parentField", Meaning::Is("cr:parentField")),
    ("path", Meaning::Is("cr:path")),
    ("recordSet", Meaning::Is("cr:recordSet")),
    ("references", Meaning::Is("cr:references")),
    ("regex", Meaning::Is("cr:regex")),
    ("repeated", Meaning::Is("cr:repeated")),
    ("replace", Meaning::Is("cr:replace")),
    ("samplingRate", Meaning::Is("cr:samplingRate")),
    ("sc", Meaning::Is("https://schema.org/")),
    ("separator", Meaning::Is("cr:separator")),
    ("source", Meaning::Is("cr:source")),
    ("subField", Meaning::Is("cr:subField")),
    ("transform", Meaning::Is("cr:transform")),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(rename = "@context")]
    context: Context,
    #[serde(rename = "@type")]
    kind: &'static str,
    conforms_to: &'static str,
    name: String,
    alternate_name: &'a str,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_info: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_published: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cite_as: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    creator: Vec<Agent>,
    is_live_dataset: bool,
    distribution: Vec<Resource<'a>>,
    record_set: [RecordSet<'a>; 1],
}

#[derive(Serialize)]
struct Agent {
    #[serde(rename = "@type")]
    kind: &'static str,
    name: String,
}

impl Agent {
    fn of(creator: &Creator<'_>) -> Self {
        let kind = match creator {
            Creator::Person { .. } => "sc:Person",
            Creator::Organisation(_) => "sc:Organization",
        };
        Self { kind, name: creator.full_name() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "@id")]
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_size: Option<String>,
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    includes: Option<&'static str>,
}

#[derive(Serialize)]
struct RecordSet<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "@id")]
    id: &'static str,
    name: &'static str,
    description: &'static str,
    field: Vec<Field<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Field<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "@id")]
    id: String,
    name: &'a str,
    description: String,
    data_type: &'static str,
    /// The format has no place of its own for what a column is for; schema.org has this one for whatever has no other.
    additional_property: Vec<Property<'a>>,
    source: Source<'a>,
}

#[derive(Serialize)]
struct Property<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    name: &'static str,
    value: Said<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Role(Role),
    Text(&'a str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Source<'a> {
    file_set: Reference,
    extract: Extract<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transform: Option<Transform>,
}

#[derive(Serialize)]
struct Reference {
    #[serde(rename = "@id")]
    id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extract<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_property: Option<&'static str>,
}

#[derive(Serialize)]
struct Transform {
    regex: String,
}

#[cfg(test)]
mod tests {
    use flowlake_partition::manifest::Treatment;
    use serde_json::{Value, json};

    use super::*;
    use crate::sample_facts::SampleFacts;

    fn read(sample: &SampleFacts) -> Value {
        serde_json::from_str(&sample.with(croissant).expect("a document")).expect("JSON")
    }

    #[test]
    fn every_column_is_a_field() {
        let document = read(&SampleFacts::new());
        let fields = document["recordSet"][0]["field"].as_array().expect("a list");
        let types: Vec<_> = fields.iter().map(|field| field["dataType"].as_str().expect("a type")).collect();
        assert_eq!(
            types,
            [
                "sc:Text",
                "sc:Text",
                "sc:Integer",
                "sc:Integer",
                "sc:Float",
                "sc:Date",
                "sc:DateTime",
                "sc:Text",
                "sc:Text",
            ]
        );
        assert_eq!(
            fields[3],
            json!({
                "@type": "cr:Field",
                "@id": "flows/octets",
                "name": "octets",
                "description": "What octets is. Unit: B.",
                "dataType": "sc:Integer",
                "additionalProperty": [
                    {"@type": "sc:PropertyValue", "name": "role", "value": "feature"},
                    {"@type": "sc:PropertyValue", "name": "unit", "value": "B"},
                ],
                "source": {"fileSet": {"@id": "data-files"}, "extract": {"column": "octets"}},
            })
        );
        assert_eq!(
            fields[8]["source"],
            json!({
                "fileSet": {"@id": "data-files"},
                "extract": {"fileProperty": "fullpath"},
                "transform": {"regex": "^data/(?:.+/)?deviceClass=(.+?)/.+$"},
            })
        );
    }

    #[test]
    fn every_data_file_is_listed_beside_the_set() {
        let sample = SampleFacts::new();
        let distribution = read(&sample)["distribution"].clone();
        assert_eq!(distribution.as_array().map(Vec::len), Some(3));
        assert_eq!(distribution[0]["includes"], "data/*/*/*.parquet");
        assert_eq!(distribution[1]["contentUrl"], sample.manifest.files[0].path.as_str());
        assert_eq!(distribution[1]["contentSize"], "4096 B");
        assert_eq!(distribution[1]["sha256"], sample.manifest.files[0].sha256.as_str());
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut sample = SampleFacts::new();
        sample.manifest.dataset.url = "nowhere".to_owned();
        sample.manifest.dataset.citation.clear();
        sample.manifest.dataset.licence = " ".to_owned();
        sample.release.redistribution = false;
        let document = read(&sample);
        for key in ["url", "citeAs", "license", "datePublished", "creator"] {
            assert_eq!(document.get(key), None, "{key}");
        }
        assert!(document["usageInfo"].as_str().is_some_and(|text| text.contains("Not to be redistributed")));

        sample.release.redistribution = true;
        assert_eq!(read(&sample).get("usageInfo"), None);
    }

    #[test]
    fn creators_licences_and_what_was_done_to_columns_are_said() {
        let mut sample = SampleFacts::new();
        sample.creators = vec!["Doe, \"Jane\"\n".to_owned(), "Example Institute".to_owned()];
        sample.treat(&[("deviceName", Treatment::HmacSha256), ("IoTIPAddress", Treatment::Dropped)]);
        let document = read(&sample);
        assert_eq!(
            document["creator"],
            json!([
                {"@type": "sc:Person", "name": "\"Jane\" Doe"},
                {"@type": "sc:Organization", "name": "Example Institute"},
            ])
        );
        assert_eq!(document["license"], "https://spdx.org/licenses/CC-BY-4.0.html");
        assert_eq!(document["description"], "Flows of two devices. Left out for privacy: IoTIPAddress.");
        let fields = document["recordSet"][0]["field"].as_array().expect("a list");
        assert!(fields[0]["description"].as_str().is_some_and(|text| text.contains("HMAC-SHA-256")));
        assert!(fields.iter().all(|field| field["name"] != "IoTIPAddress"));

        sample.licence_url = Some("https://example.org/licence".to_owned());
        assert_eq!(read(&sample)["license"], "https://example.org/licence");
    }
}
