//! The columns of a table: names, types, nullability and how each is best encoded.
//!
//! Every data file of a lake has the same schema, so that engines can read `data/` as one table without merging
//! schemas. Types are limited to those DuckDB, Spark, Polars and ClickHouse read alike ([`ColumnType`]); this module
//! maps them onto Arrow and Parquet, and checks that a frame really has them before its rows are written.

use std::sync::Arc;

use arrow_schema::{
    DataType as ArrowType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit as ArrowTimeUnit,
};
use polars::prelude::{DataFrame, DataType, TimeUnit, TimeZone};

use crate::manifest::{self, ColumnType};
use crate::profile::TableProfile;

/// A schema that cannot be, or a frame that does not have it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Two columns share a name.
    #[error("column {name} is listed twice")]
    DuplicateColumn {
        /// The column.
        name: String,
    },
    /// The flow start is no column, or not the first timestamp that is always there.
    #[error(
        "{name} cannot be the flow start: it must be the first column of type timestamp[ms, UTC] without nulls"
    )]
    FlowStart {
        /// The column.
        name: String,
    },
    /// The encoding asked for does not fit the column's type.
    #[error("column {name}: {encoding:?} does not fit {data_type}")]
    Encoding {
        /// The column.
        name: String,
        /// The encoding.
        encoding: Encoding,
        /// The type's name.
        data_type: &'static str,
    },
    /// A frame has another column, or none, where one is due.
    #[error("expected column {expected} at position {position}, found {found}")]
    ColumnName {
        /// Position from 0.
        position: usize,
        /// Name the schema has, or `none`.
        expected: String,
        /// Name the frame has, or `none`.
        found: String,
    },
    /// A frame's column has another type.
    #[error("column {name} should be {expected}, is {found}")]
    ColumnType {
        /// The column.
        name: String,
        /// Type the schema has.
        expected: &'static str,
        /// Type the frame has, in Polars' words.
        found: String,
    },
    /// Nulls where none may be.
    #[error("column {name} holds {nulls} nulls but must not hold any")]
    Nulls {
        /// The column.
        name: String,
        /// How many.
        nulls: usize,
    },
}

/// How a column's values are laid out in Parquet, before compression.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Delta for timestamps, else a dictionary per row group, given up for plain values or deltas when it grows too
    /// large.
    #[default]
    Auto,
    /// Differences, bit-packed (`DELTA_BINARY_PACKED`): integers, dates and timestamps that are nearly unique.
    Delta,
    /// Shared prefixes (`DELTA_BYTE_ARRAY`): text that is nearly unique and resembles its predecessor.
    DeltaText,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Column name.
    pub name: String,
    /// Logical type.
    pub data_type: ColumnType,
    /// Whether nulls may occur.
    pub nullable: bool,
    /// How it is encoded.
    pub encoding: Encoding,
}

/// The columns of every data file, in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    columns: Vec<TableColumn>,
    flow_start: FlowStart,
}

/// Where it stands when a flow began.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FlowStart {
    /// In the column at this position.
    Column(usize),
    /// In a column behind the others that frames have and files do not.
    Helper(String),
    /// In no column: the rows come from a lake, whose manifest says it.
    Manifest,
}

impl TableSchema {
    /// A schema of `columns`, of which `flow_start` names the one that says when a flow began: it decides the month. It
    /// must be the first timestamp without nulls, so that whoever reads the lake can tell it from the others.
    ///
    /// # Errors
    /// When a name occurs twice, `flow_start` is not that column, or an encoding does not fit its type.
    pub fn new(columns: Vec<TableColumn>, flow_start: &str) -> Result<Self, TableError> {
        check_columns(&columns)?;
        let flow_start = columns
            .iter()
            .position(|c| c.data_type == ColumnType::TimestampMillis && !c.nullable)
            .filter(|first| columns[*first].name == flow_start)
            .ok_or_else(|| TableError::FlowStart { name: flow_start.to_owned() })?;
        Ok(Self { columns, flow_start: FlowStart::Column(flow_start) })
    }

    /// A schema of `columns` none of which says when a flow began. Frames have one more column, the last, named `helper`,
    /// that does: it decides the month and is not written.
    ///
    /// # Errors
    /// When a name occurs twice, a column is a timestamp without nulls, which readers of the lake would take for the flow
    /// start, or an encoding does not fit its type.
    pub fn without_flow_start(columns: Vec<TableColumn>, helper: &str) -> Result<Self, TableError> {
        check_columns(&columns)?;
        if columns.iter().any(|column| column.name == helper) {
            return Err(TableError::DuplicateColumn { name: helper.to_owned() });
        }
        if let Some(first) =
            columns.iter().find(|c| c.data_type == ColumnType::TimestampMillis && !c.nullable)
        {
            return Err(TableError::FlowStart { name: first.name.clone() });
        }
        Ok(Self { columns, flow_start: FlowStart::Helper(helper.to_owned()) })
    }

    /// A schema of the columns of a lake that is there already, whose rows are to be written again. If one of them says when
    /// a flow began, it is the first timestamp without nulls.
    ///
    /// # Errors
    /// When a name occurs twice, or an encoding does not fit its type.
    pub(crate) fn of_lake(columns: Vec<TableColumn>) -> Result<Self, TableError> {
        check_columns(&columns)?;
        let flow_start =
            columns.iter().position(|c| c.data_type == ColumnType::TimestampMillis && !c.nullable);
        Ok(Self { columns, flow_start: flow_start.map_or(FlowStart::Manifest, FlowStart::Column) })
    }

    /// The columns, in file order.
    #[must_use]
    pub fn columns(&self) -> &[TableColumn] {
        &self.columns
    }

    /// Name of the column that says when a flow began; empty where none does.
    #[must_use]
    pub fn flow_start(&self) -> &str {
        match &self.flow_start {
            FlowStart::Column(position) => &self.columns[*position].name,
            FlowStart::Helper(name) => name,
            FlowStart::Manifest => "",
        }
    }

    /// Position of [`Self::flow_start`] among the columns of a frame, if there is one.
    pub(crate) fn flow_start_position(&self) -> Option<usize> {
        match self.flow_start {
            FlowStart::Column(position) => Some(position),
            FlowStart::Helper(_) => Some(self.columns.len()),
            FlowStart::Manifest => None,
        }
    }

    /// The Arrow schema of frames: that of the files, and the helper behind it if there is one.
    pub(crate) fn frame_schema(&self) -> SchemaRef {
        let helper = match &self.flow_start {
            FlowStart::Column(_) | FlowStart::Manifest => None,
            FlowStart::Helper(name) => Some((name.as_str(), ColumnType::TimestampMillis, false)),
        };
        let columns = self.columns.iter().map(|c| (c.name.as_str(), c.data_type, c.nullable));
        arrow_schema(columns.chain(helper))
    }

    /// The profile of a table of these columns without rows.
    #[must_use]
    pub fn profile(&self) -> TableProfile {
        TableProfile::new(self.columns.iter().map(|column| column.data_type))
    }

    /// The Arrow schema of the data files: what crosses to the Parquet writer and what its reader gives back.
    #[must_use]
    pub fn arrow_schema(&self) -> SchemaRef {
        arrow_schema(self.columns.iter().map(|c| (c.name.as_str(), c.data_type, c.nullable)))
    }

    /// Checks that a frame has exactly these columns, in this order, of these types, and nulls only where allowed; and
    /// behind them the helper, if there is one. A timestamp may be with or without the zone UTC: both hold UTC.
    ///
    /// # Errors
    /// Names the first column that differs.
    pub fn check(&self, frame: &DataFrame) -> Result<(), TableError> {
        let found = frame.columns();
        let helper = match &self.flow_start {
            FlowStart::Column(_) | FlowStart::Manifest => None,
            FlowStart::Helper(name) => Some(TableColumn {
                name: name.clone(),
                data_type: ColumnType::TimestampMillis,
                nullable: false,
                encoding: Encoding::Auto,
            }),
        };
        let columns: Vec<&TableColumn> = self.columns.iter().chain(&helper).collect();
        for position in 0..columns.len().max(found.len()) {
            let expected = columns.get(position).copied();
            let column = found.get(position);
            let (Some(expected), Some(column)) = (expected, column) else {
                return Err(column_name_error(position, expected, column.map(|c| c.name().as_str())));
            };
            if column.name().as_str() != expected.name {
                return Err(column_name_error(position, Some(expected), Some(column.name().as_str())));
            }
            if !is_polars_type(column.dtype(), expected.data_type) {
                return Err(TableError::ColumnType {
                    name: expected.name.clone(),
                    expected: type_name(expected.data_type),
                    found: column.dtype().to_string(),
                });
            }
            let nulls = column.null_count();
            if nulls > 0 && !expected.nullable {
                return Err(TableError::Nulls { name: expected.name.clone(), nulls });
            }
        }
        Ok(())
    }
}

/// Checks that no name is there twice and that each encoding fits.
fn check_columns(columns: &[TableColumn]) -> Result<(), TableError> {
    let mut names = std::collections::HashSet::new();
    for column in columns {
        if !names.insert(column.name.as_str()) {
            return Err(TableError::DuplicateColumn { name: column.name.clone() });
        }
        let fits = match column.encoding {
            Encoding::Auto => true,
            Encoding::Delta => !matches!(column.data_type, ColumnType::String | ColumnType::Float64),
            Encoding::DeltaText => column.data_type == ColumnType::String,
        };
        if !fits {
            return Err(TableError::Encoding {
                name: column.name.clone(),
                encoding: column.encoding,
                data_type: type_name(column.data_type),
            });
        }
    }
    Ok(())
}

fn column_name_error(position: usize, expected: Option<&TableColumn>, found: Option<&str>) -> TableError {
    TableError::ColumnName {
        position,
        expected: expected.map_or("none", |c| c.name.as_str()).to_owned(),
        found: found.unwrap_or("none").to_owned(),
    }
}

fn is_polars_type(found: &DataType, expected: ColumnType) -> bool {
    match (found, expected) {
        (DataType::String, ColumnType::String)
        | (DataType::Int32, ColumnType::Int32)
        | (DataType::Int64, ColumnType::Int64)
        | (DataType::Float64, ColumnType::Float64)
        | (DataType::Date, ColumnType::Date) => true,
        (DataType::Datetime(TimeUnit::Milliseconds, zone), ColumnType::TimestampMillis) => {
            is_utc(zone.as_ref())
        }
        _ => false,
    }
}

/// Whether a Polars time zone means UTC; none does, by this project's convention.
pub(crate) fn is_utc(zone: Option<&TimeZone>) -> bool {
    zone.is_none_or(|zone| zone == &TimeZone::UTC)
}

/// The name of a type in the manifest, in content digests and in messages.
#[must_use]
pub fn type_name(data_type: ColumnType) -> &'static str {
    match data_type {
        ColumnType::String => "string",
        ColumnType::Int32 => "int32",
        ColumnType::Int64 => "int64",
        ColumnType::Float64 => "float64",
        ColumnType::Date => "date",
        ColumnType::TimestampMillis => "timestamp[ms, UTC]",
    }
}

/// The Arrow schema of a manifest's columns.
pub(crate) fn arrow_schema_of(columns: &[manifest::Column]) -> SchemaRef {
    arrow_schema(columns.iter().map(|c| (c.name.as_str(), c.data_type, c.nullable)))
}

fn arrow_schema<'a>(columns: impl Iterator<Item = (&'a str, ColumnType, bool)>) -> SchemaRef {
    let fields: Vec<Field> = columns
        .map(|(name, data_type, nullable)| Field::new(name, arrow_type(data_type), nullable))
        .collect();
    Arc::new(ArrowSchema::new(fields))
}

/// The Arrow type of a column.
pub(crate) fn arrow_type(data_type: ColumnType) -> ArrowType {
    match data_type {
        ColumnType::String => ArrowType::Utf8View,
        ColumnType::Int32 => ArrowType::Int32,
        ColumnType::Int64 => ArrowType::Int64,
        ColumnType::Float64 => ArrowType::Float64,
        ColumnType::Date => ArrowType::Date32,
        ColumnType::TimestampMillis => ArrowType::Timestamp(ArrowTimeUnit::Millisecond, Some("UTC".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn type_names_are_those_of_the_manifest() {
        for data_type in [
            ColumnType::String,
            ColumnType::Int32,
            ColumnType::Int64,
            ColumnType::Float64,
            ColumnType::Date,
            ColumnType::TimestampMillis,
        ] {
            let json = serde_json::to_string(&data_type).expect("a string");
            assert_eq!(json, format!("{:?}", type_name(data_type)));
        }
    }

    #[test]
    fn impossible_schemas_are_refused() {
        let column = |name: &str, data_type, encoding| TableColumn {
            name: name.to_owned(),
            data_type,
            nullable: false,
            encoding,
        };
        let start = column("start", ColumnType::TimestampMillis, Encoding::Auto);
        let refused = |columns: Vec<TableColumn>| TableSchema::new(columns, "start").expect_err("refused");
        assert!(matches!(refused(vec![start.clone(), start.clone()]), TableError::DuplicateColumn { .. }));
        assert!(matches!(refused(vec![]), TableError::FlowStart { .. }));
        assert!(matches!(
            refused(vec![column("start", ColumnType::Int64, Encoding::Auto)]),
            TableError::FlowStart { .. }
        ));
        let end = column("end", ColumnType::TimestampMillis, Encoding::Auto);
        assert!(matches!(refused(vec![end, start.clone()]), TableError::FlowStart { .. }));
        let nullable = TableColumn { nullable: true, ..start.clone() };
        assert!(matches!(refused(vec![nullable]), TableError::FlowStart { .. }));
        let wrong = column("port", ColumnType::Int32, Encoding::DeltaText);
        assert!(matches!(refused(vec![start.clone(), wrong]), TableError::Encoding { .. }));
        let wrong = column("mean", ColumnType::Float64, Encoding::Delta);
        assert!(matches!(refused(vec![start, wrong]), TableError::Encoding { .. }));
    }

    #[test]
    fn without_a_flow_start_frames_have_a_helper() {
        let mut columns = testing::schema().columns().to_vec();
        let refused = TableSchema::without_flow_start(columns.clone(), "helper").expect_err("refused");
        assert_eq!(refused, TableError::FlowStart { name: "flowStartMilliseconds".to_owned() });
        let start = columns.remove(0);
        let refused = TableSchema::without_flow_start(columns.clone(), "port").expect_err("refused");
        assert_eq!(refused, TableError::DuplicateColumn { name: "port".to_owned() });
        let schema = TableSchema::without_flow_start(columns, &start.name).expect("a schema");
        assert_eq!((schema.flow_start(), schema.columns().len()), ("flowStartMilliseconds", 6));
        let mut frame = testing::frame(0, 10);
        assert!(matches!(schema.check(&frame), Err(TableError::ColumnName { position: 0, .. })));
        let helper = frame.column("flowStartMilliseconds").expect("a column").clone();
        frame = frame.drop("flowStartMilliseconds").expect("a column");
        assert!(matches!(schema.check(&frame), Err(TableError::ColumnName { position: 6, .. })));
        frame.with_column(helper).expect("same height");
        schema.check(&frame).expect("it fits");
    }

    #[test]
    fn a_frame_must_have_exactly_the_columns() {
        let schema = testing::schema();
        let frame = testing::frame(0, 10);
        schema.check(&frame).expect("it fits");
        let missing = frame.drop("port").expect("there is a port");
        assert!(matches!(schema.check(&missing), Err(TableError::ColumnName { .. })));
        let swapped = frame.select(["port", "flowStartMilliseconds"]).expect("both are there");
        assert!(matches!(schema.check(&swapped), Err(TableError::ColumnName { position: 0, .. })));
        let mut extra = frame.clone();
        extra.with_column(polars::prelude::Column::new("extra".into(), vec![0i32; 10])).expect("same height");
        assert!(matches!(schema.check(&extra), Err(TableError::ColumnName { position: 7, .. })));
        let mut retyped = frame.clone();
        retyped
            .with_column(polars::prelude::Column::new("port".into(), vec![0i64; 10]))
            .expect("same height");
        assert!(matches!(schema.check(&retyped), Err(TableError::ColumnType { .. })));
        let mut nulls = frame;
        nulls
            .with_column(polars::prelude::Column::new("port".into(), vec![None::<i32>; 10]))
            .expect("same height");
        assert_eq!(schema.check(&nulls), Err(TableError::Nulls { name: "port".to_owned(), nulls: 10 }));
    }
}
