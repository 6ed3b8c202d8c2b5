//! Facts about a small release, for the tests of its documents.

use flowlake_partition::manifest::{
    Column, ColumnType, DataFile, Dataset, Manifest, Privacy, PrivateColumn, RecipeReference, Release, Role,
    Schema, Tool, Totals, Treatment,
};

use crate::Facts;

/// What [`Facts`] borrow, to be changed by a test.
pub(crate) struct SampleFacts {
    pub(crate) manifest: Manifest,
    pub(crate) release: Release,
    pub(crate) description: Option<String>,
    pub(crate) licence_url: Option<String>,
    pub(crate) creators: Vec<String>,
}

impl SampleFacts {
    /// A column of each type, two data files, a known licence; no creators, no date, nothing private.
    pub(crate) fn new() -> Self {
        let tool = Tool { name: "flowlake".to_owned(), version: "0.1.0".to_owned() };
        let columns = vec![
            column("deviceName", ColumnType::String, None, false, Role::Target),
            column("IoTIPAddress", ColumnType::String, None, true, Role::Identifier),
            column("port", ColumnType::Int32, None, true, Role::Feature),
            column("octets", ColumnType::Int64, Some("B"), false, Role::Feature),
            column("mean", ColumnType::Float64, Some("ms"), true, Role::Feature),
            column("day", ColumnType::Date, None, false, Role::Time),
            column("flowStart", ColumnType::TimestampMillis, None, true, Role::Time),
        ];
        let partition_by = vec![
            column("month", ColumnType::String, None, false, Role::Time),
            column("deviceClass", ColumnType::String, None, false, Role::Target),
        ];
        let manifest = Manifest {
            format_version: 1,
            tool: tool.clone(),
            release: None,
            dataset: Dataset {
                name: "flows-of-things".to_owned(),
                title: "Flows of things".to_owned(),
                licence: "CC-BY-4.0".to_owned(),
                citation: "Doe (2024), Flows".to_owned(),
                url: "https://example.org/flows".to_owned(),
            },
            recipe: RecipeReference { name: "flows".to_owned(), digest: "0".repeat(64) },
            selection: None,
            schema: Schema { columns, partition_by },
            dropped_columns: Vec::new(),
            row_accounting: Default::default(),
            repairs: Vec::new(),
            not_encoded: Vec::new(),
            sources: Vec::new().into(),
            files: vec![file("2019-06", "camera", "alpha"), file("2019-07", "plug", "Beta")].into(),
            totals: Totals::default(),
            warnings: Vec::new().into(),
            configuration: None,
        };
        let release = Release {
            version: "1.0.0".to_owned(),
            date: None,
            tool,
            redistribution: true,
            privacy: None,
            documents: Vec::new(),
        };
        let description = Some("Flows of two devices".to_owned());
        Self { manifest, release, description, licence_url: None, creators: Vec::new() }
    }

    /// Makes a document of the facts.
    pub(crate) fn with<T>(&self, document: impl Fn(&Facts<'_>) -> T) -> T {
        document(&Facts {
            manifest: &self.manifest,
            release: &self.release,
            description: self.description.as_deref(),
            licence_url: self.licence_url.as_deref(),
            creators: &self.creators,
            devices: &[],
        })
    }

    /// Has columns treated; those that are dropped leave the schema.
    pub(crate) fn treat(&mut self, columns: &[(&str, Treatment)]) {
        let treated = |&(name, treatment): &(&str, _)| PrivateColumn { name: name.to_owned(), treatment };
        let columns: Vec<_> = columns.iter().map(treated).collect();
        self.manifest.schema.columns.retain(|column| {
            !columns.iter().any(|it| it.name == column.name && it.treatment == Treatment::Dropped)
        });
        self.release.privacy = Some(Privacy {
            mac: None,
            ip: None,
            drop: Vec::new(),
            columns,
            key_check: None,
            rejected_lines_withheld: true,
        });
    }
}

fn column(name: &str, data_type: ColumnType, unit: Option<&str>, nullable: bool, role: Role) -> Column {
    Column {
        name: name.to_owned(),
        data_type,
        unit: unit.map(str::to_owned),
        nullable,
        role,
        description: format!("What {name} is"),
        source: Vec::new(),
        derivation: "as written".to_owned(),
        profile: None,
    }
}

fn file(month: &str, class: &str, device: &str) -> DataFile {
    let digest = "0123456789abcdef".repeat(4);
    DataFile {
        path: format!("data/month={month}/deviceClass={class}/{device}-00000-{}.parquet", &digest[..16]),
        month: month.into(),
        device_class: class.into(),
        device_name: device.into(),
        rows: 7,
        bytes: 4_096,
        sha256: digest.clone(),
        content_digest: digest,
        min_flow_start: format!("{month}-01T00:00:00.000Z").into(),
        max_flow_start: format!("{month}-02T00:00:00.000Z").into(),
        row_groups: 1,
    }
}
