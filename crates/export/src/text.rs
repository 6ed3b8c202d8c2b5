//! Rows as text. What CSV and NDJSON have in common is here once: how numbers, dates and times are spelled, and that rows
//! go out in pieces, so that a file is never in memory as a whole.

use std::io::{self, Write};
use std::marker::PhantomData;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, PrimitiveArray, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Schema, TimeUnit};
use flowlake_partition::layout::timestamp_text;

use crate::format::Partition;
use crate::sink::Sink;

/// Bytes of text that are gathered before they are written.
const PIECE_BYTES: usize = 256 * 1024;

const MILLIS_PER_DAY: i64 = 86_400_000;

pub use crate::csv::Csv;
pub use crate::ndjson::Ndjson;

/// What differs from one form of text to the other.
pub trait Dialect {
    /// A value that is absent.
    const NULL: &'static [u8];
    /// What ends a row.
    const ROW_END: &'static [u8];

    /// What stands before all rows.
    fn header(names: &[&str], out: &mut Vec<u8>);
    /// What stands before the value of a column.
    fn before(position: usize, name: &str, out: &mut Vec<u8>);
    /// Any text.
    fn text(text: &str, out: &mut Vec<u8>);
    /// A date or a time, in letters that no form has another use for.
    fn time(text: &[u8], out: &mut Vec<u8>);
    /// A number, shortest of those that are read back as the same one.
    ///
    /// # Errors
    /// When the form has no such number.
    fn float(value: f64, out: &mut Vec<u8>) -> io::Result<()>;
    /// A list or an object, as JSON.
    fn json(json: &str, out: &mut Vec<u8>);
}

/// Writes a file of text.
pub(crate) struct TextWriter<D> {
    sink: Sink,
    /// What stands before each column, partition columns last.
    before: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    dialect: PhantomData<D>,
}

impl<D: Dialect> TextWriter<D> {
    pub(crate) fn new(sink: Sink, schema: &Schema) -> io::Result<Self> {
        let columns = schema.fields().iter().map(|field| field.name().as_str());
        let names: Vec<&str> = columns.chain(Partition::NAMES).collect();
        let before = names.iter().enumerate().map(|(position, name)| {
            let mut text = Vec::new();
            D::before(position, name, &mut text);
            text
        });
        let before = before.collect();
        let mut buffer = Vec::with_capacity(PIECE_BYTES + 4096);
        D::header(&names, &mut buffer);
        Ok(Self { sink, before, buffer, dialect: PhantomData })
    }

    pub(crate) fn write(&mut self, rows: &RecordBatch, partition: Partition<'_>) -> io::Result<()> {
        let columns: Vec<Cells<'_>> =
            rows.columns().iter().map(|c| Cells::new(c)).collect::<Result<_, _>>()?;
        let (before, before_partition) = self.before.split_at(columns.len());
        let mut row_end = Vec::new();
        for (before, value) in before_partition.iter().zip(partition.values()) {
            row_end.extend_from_slice(before);
            D::text(value, &mut row_end);
        }
        row_end.extend_from_slice(D::ROW_END);

        let mut dates = Dates::default();
        for row in 0..rows.num_rows() {
            for (before, cells) in before.iter().zip(&columns) {
                self.buffer.extend_from_slice(before);
                cells.write::<D>(row, &mut dates, &mut self.buffer)?;
            }
            self.buffer.extend_from_slice(&row_end);
            if self.buffer.len() >= PIECE_BYTES {
                self.sink.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.sink.write_all(&self.buffer)?;
        self.sink.finish()
    }
}

/// A column, by what its values are.
enum Cells<'a> {
    Text(&'a StringViewArray),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Date(&'a PrimitiveArray<Date32Type>),
    Timestamp(&'a PrimitiveArray<TimestampMillisecondType>),
}

impl<'a> Cells<'a> {
    fn new(values: &'a dyn Array) -> io::Result<Self> {
        Ok(match values.data_type() {
            DataType::Utf8View => Self::Text(values.as_string_view()),
            DataType::Int32 => Self::Int32(values.as_primitive()),
            DataType::Int64 => Self::Int64(values.as_primitive()),
            DataType::Float64 => Self::Float64(values.as_primitive()),
            DataType::Date32 => Self::Date(values.as_primitive()),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Timestamp(values.as_primitive()),
            other => return Err(io::Error::other(format!("a lake has no columns of type {other}"))),
        })
    }

    fn write<D: Dialect>(&self, row: usize, dates: &mut Dates, out: &mut Vec<u8>) -> io::Result<()> {
        let array: &dyn Array = match self {
            Self::Text(values) => values,
            Self::Int32(values) => values,
            Self::Int64(values) => values,
            Self::Float64(values) => values,
            Self::Date(values) => values,
            Self::Timestamp(values) => values,
        };
        if array.is_null(row) {
            out.extend_from_slice(D::NULL);
            return Ok(());
        }
        match self {
            Self::Text(values) => D::text(values.value(row), out),
            Self::Int32(values) => integer(values.value(row), out),
            Self::Int64(values) => integer(values.value(row), out),
            Self::Float64(values) => D::float(values.value(row), out)?,
            Self::Date(values) => D::time(dates.date(i64::from(values.value(row)) * MILLIS_PER_DAY), out),
            Self::Timestamp(values) => D::time(dates.timestamp(values.value(row)), out),
        }
        Ok(())
    }
}

fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Spells dates and times. Rows are nearly in order of time, so the date is nearly always that of the row before.
#[derive(Debug, Default)]
pub struct Dates {
    day: Option<i64>,
    /// The date, and behind it the time that was asked for last.
    text: Vec<u8>,
    date_length: usize,
}

impl Dates {
    /// `2019-06-25`, of an instant in milliseconds since 1970-01-01 00:00 UTC.
    pub fn date(&mut self, millis: i64) -> &[u8] {
        let day = millis.div_euclid(MILLIS_PER_DAY);
        if self.day != Some(day) {
            self.day = Some(day);
            self.text = timestamp_text(millis).into_bytes();
            self.date_length = self.text.iter().position(|byte| *byte == b'T').unwrap_or(self.text.len());
        }
        &self.text[..self.date_length]
    }

    /// `2019-06-25T08:36:29.747Z`, of an instant in milliseconds since 1970-01-01 00:00 UTC.
    pub fn timestamp(&mut self, millis: i64) -> &[u8] {
        self.date(millis);
        let of_day = millis.rem_euclid(MILLIS_PER_DAY);
        let digit = |number: i64| b'0' + (number % 10) as u8;
        let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60);
        self.text.truncate(self.date_length);
        self.text.extend_from_slice(&[
            b'T',
            digit(hour / 10),
            digit(hour),
            b':',
            digit(minute / 10),
            digit(minute),
            b':',
            digit(second / 10),
            digit(second),
            b'.',
            digit(of_day / 100),
            digit(of_day / 10),
            digit(of_day),
            b'Z',
        ]);
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_in_the_manifest_in_whatever_order_they_come() {
        let mut dates = Dates::default();
        for millis in [
            0,
            1_561_451_789_747,
            1_561_451_789_748,
            -1,
            1_582_934_400_000,
            1_561_451_789_747,
            253_402_300_799_999,
            253_402_300_800_000,
            -62_167_219_200_000,
            86_399_999,
            86_400_000,
        ] {
            let text = timestamp_text(millis);
            assert_eq!(dates.timestamp(millis), text.as_bytes());
            let (date, _) = text.split_once('T').expect("a date");
            assert_eq!(dates.date(millis), date.as_bytes());
        }
    }
}
