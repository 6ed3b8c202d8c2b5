//! The values of a column, spelled.
//!
//! An answer may be of any type that SQL can make of the columns of a lake. Values are spelled as in exports: timestamps as
//! RFC 3339, numbers as the shortest text that is read back as the same one. Lists and structs are JSON.

use std::cell::RefCell;
use std::io;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::writer::{EncoderOptions, make_encoder};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use flowlake_export::text::{Dates, Dialect};

use crate::error::QueryError;

/// A column of which single values can be had.
pub struct Cells {
    values: Values,
    /// Most rows begin on the day of the row before.
    dates: RefCell<Dates>,
}

enum Values {
    Text(StringViewArray),
    Boolean(BooleanArray),
    Integer(PrimitiveArray<Int64Type>),
    Unsigned(PrimitiveArray<UInt64Type>),
    Float(PrimitiveArray<Float64Type>),
    /// Milliseconds since 1970-01-01 00:00 UTC.
    Instant(PrimitiveArray<TimestampMillisecondType>),
    /// Other numbers, by the text that the library has for them.
    Number(ArrayRef),
    /// Dates, times of all kinds and bytes, likewise.
    Other(ArrayRef),
    /// Lists and structs.
    Nested(ArrayRef),
    /// All of them null.
    Null,
}

/// Whether values of a type are numbers, which stand to the right in tables.
#[must_use]
pub fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

impl Cells {
    /// The values of a column.
    ///
    /// # Errors
    /// When its type is one that no text can be made of.
    pub fn new(name: &str, column: &ArrayRef) -> Result<Self, QueryError> {
        let values = Values::of(column).map_err(|_| QueryError::Type {
            column: name.to_owned(),
            data_type: column.data_type().to_string(),
        })?;
        Ok(Self { values, dates: RefCell::default() })
    }

    /// Appends a value to a row of text.
    ///
    /// # Errors
    /// When the form has no such value: JSON has no infinite numbers.
    pub fn write<D: Dialect>(&self, row: usize, out: &mut Vec<u8>) -> io::Result<()> {
        if self.is_null(row) {
            out.extend_from_slice(D::NULL);
            return Ok(());
        }
        match &self.values {
            Values::Text(values) => D::text(values.value(row), out),
            Values::Boolean(values) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Values::Integer(values) => {
                out.extend_from_slice(itoa::Buffer::new().format(values.value(row)).as_bytes());
            }
            Values::Unsigned(values) => {
                out.extend_from_slice(itoa::Buffer::new().format(values.value(row)).as_bytes());
            }
            Values::Float(values) => D::float(values.value(row), out)?,
            Values::Instant(values) => D::time(self.dates.borrow_mut().timestamp(values.value(row)), out),
            Values::Number(values) => out.extend_from_slice(formatted(values, row)?.as_bytes()),
            Values::Other(values) => D::text(&formatted(values, row)?, out),
            Values::Nested(values) => D::json(&json(values, row)?, out),
            Values::Null => {}
        }
        Ok(())
    }

    /// A value for people; `None` for null. Floating point numbers have up to six digits after the point.
    #[must_use]
    pub fn show(&self, row: usize) -> Option<String> {
        if self.is_null(row) {
            return None;
        }
        match &self.values {
            Values::Text(values) => Some(values.value(row).to_owned()),
            Values::Boolean(values) => Some(values.value(row).to_string()),
            Values::Integer(values) => Some(values.value(row).to_string()),
            Values::Unsigned(values) => Some(values.value(row).to_string()),
            Values::Float(values) => Some(shown(values.value(row))),
            Values::Instant(values) => {
                let mut dates = self.dates.borrow_mut();
                Some(String::from_utf8_lossy(dates.timestamp(values.value(row))).into_owned())
            }
            Values::Number(values) | Values::Other(values) => formatted(values, row).ok(),
            Values::Nested(values) => json(values, row).ok(),
            Values::Null => None,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        let array: &dyn Array = match &self.values {
            Values::Text(values) => values,
            Values::Boolean(values) => values,
            Values::Integer(values) => values,
            Values::Unsigned(values) => values,
            Values::Float(values) => values,
            Values::Instant(values) => values,
            Values::Number(values) | Values::Other(values) | Values::Nested(values) => values,
            Values::Null => return true,
        };
        array.is_null(row)
    }
}

impl Values {
    fn of(column: &ArrayRef) -> Result<Self, ArrowError> {
        let as_type = |data_type: &DataType| cast(column, data_type);
        Ok(match column.data_type() {
            DataType::Null => Self::Null,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(as_type(&DataType::Utf8View)?.as_string_view().clone())
            }
            DataType::Boolean => Self::Boolean(column.as_boolean().clone()),
            DataType::UInt64 => Self::Unsigned(column.as_primitive().clone()),
            integer if integer.is_integer() => {
                Self::Integer(as_type(&DataType::Int64)?.as_primitive().clone())
            }
            DataType::Float32 | DataType::Float64 => {
                Self::Float(as_type(&DataType::Float64)?.as_primitive().clone())
            }
            DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) if matches!(&**zone, "UTC" | "+00:00") => {
                Self::Instant(column.as_primitive().clone())
            }
            DataType::Dictionary(_, values) => Self::of(&as_type(values)?)?,
            number if number.is_numeric() => Self::Number(column.clone()),
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::ListView(_)
            | DataType::Struct(_)
            | DataType::Map(..) => Self::Nested(column.clone()),
            _ => {
                ArrayFormatter::try_new(column, &FormatOptions::default())?;
                Self::Other(column.clone())
            }
        })
    }
}

fn formatted(values: &ArrayRef, row: usize) -> io::Result<String> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values, &options).map_err(io::Error::other)?;
    formatter.value(row).try_to_string().map_err(io::Error::other)
}

fn json(values: &ArrayRef, row: usize) -> io::Result<String> {
    let field = std::sync::Arc::new(Field::new("value", values.data_type().clone(), true));
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(&field, values, &options).map_err(io::Error::other)?;
    let mut out = Vec::new();
    encoder.encode(row, &mut out);
    String::from_utf8(out).map_err(io::Error::other)
}

/// Six digits after the point, without zeros that say nothing; very large and very small ones with an exponent.
fn shown(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e15).contains(&value.abs()) {
        return format!("{value:.6e}");
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people_are_short() {
        let numbers = [0.1 + 0.2, 1234.5, 3.0, -0.0, 1e-7, 1e20, f64::NAN, f64::INFINITY];
        let shown: Vec<String> = numbers.into_iter().map(shown).collect();
        assert_eq!(shown, ["0.3", "1234.5", "3", "-0", "1.000000e-7", "1.000000e20", "NaN", "inf"]);
    }
}
