//! Functions on whole columns that Polars has no expression for.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use flowlake_ingest::schema::TCP_FLAG_LETTERS;
use polars::prelude::{
    ChunkedArray, Column, DataType, Field, Int64Chunked, IntoColumn, PlSmallStr, PolarsResult, Schema,
    StringChunked,
};
use polars_arrow::array::MutableBinaryViewArray;

use crate::recipe::LookupTable;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// Output type of a kernel that keeps its first column's name.
pub(crate) fn text_field(_: &Schema, field: &Field) -> PolarsResult<Field> {
    Ok(Field::new(field.name().clone(), DataType::String))
}

/// As [`text_field`], for kernels of several columns.
pub(crate) fn text_field_of_first(schema: &Schema, fields: &[Field]) -> PolarsResult<Field> {
    text_field(schema, &fields[0])
}

/// A MAC address in lower case with `:`, without the stray `:` behind it.
pub(crate) fn canonical_mac(column: &Column) -> PolarsResult<Column> {
    let text = column.str()?;
    let canonical = map_text(text, |mac| {
        let mac = if mac.len() == 18 { mac.strip_suffix(':').unwrap_or(mac) } else { mac };
        if mac.bytes().any(|byte| byte == b'-' || byte.is_ascii_uppercase()) {
            Cow::Owned(mac.replace('-', ":").to_ascii_lowercase())
        } else {
            Cow::Borrowed(mac)
        }
    });
    Ok(canonical.into_column())
}

/// What to do with addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressRepairs {
    /// Write IPv6 addresses as RFC 5952 has them.
    pub(crate) canonical: bool,
    /// Write `::` opposite an IPv4 address as 0.0.0.0.
    pub(crate) unspecified: bool,
}

/// An IP address, seen beside the address of the other end.
pub(crate) fn canonical_ip(
    address: &Column,
    other: &Column,
    repairs: AddressRepairs,
) -> PolarsResult<Column> {
    let (address, other) = (address.str()?, other.str()?);
    let mut out = MutableBinaryViewArray::<str>::with_capacity(address.len());
    for (address, other) in address.iter().zip(other.iter()) {
        let Some(address) = address else {
            out.push_null();
            continue;
        };
        if !address.contains(':') {
            out.push_value(address);
            continue;
        }
        let parsed = address.parse::<Ipv6Addr>().ok();
        let unspecified =
            parsed.is_some_and(|ip| ip.is_unspecified()) && other.is_some_and(|o| !o.contains(':'));
        match parsed {
            _ if unspecified && repairs.unspecified => out.push_value("0.0.0.0"),
            // The standard library prints IPv6 as RFC 5952 recommends.
            Some(ip) if repairs.canonical => out.push_value(ip.to_string()),
            _ => out.push_value(address),
        }
    }
    let name = PlSmallStr::EMPTY;
    Ok(StringChunked::with_chunk(name, out.freeze()).into_column())
}

/// `HH:MM:SS.mmm` of milliseconds since 1970, UTC.
pub(crate) fn time_of_day(column: &Column) -> PolarsResult<Column> {
    let millis = column.cast(&DataType::Int64)?;
    let mut out = MutableBinaryViewArray::<str>::with_capacity(millis.len());
    let mut text = *b"00:00:00.000";
    for value in millis.i64()?.iter() {
        let Some(value) = value else {
            out.push_null();
            continue;
        };
        let of_day = value.rem_euclid(MILLIS_PER_DAY) as u32;
        let (seconds, millis) = (of_day / 1000, of_day % 1000);
        let (minutes, second) = (seconds / 60, seconds % 60);
        let (hour, minute) = (minutes / 60, minutes % 60);
        for (at, number) in [(0, hour), (3, minute), (6, second), (9, millis / 10)] {
            text[at] = b'0' + (number / 10) as u8;
            text[at + 1] = b'0' + (number % 10) as u8;
        }
        text[11] = b'0' + (millis % 10) as u8;
        out.push_value(std::str::from_utf8(&text).unwrap_or_default());
    }
    Ok(StringChunked::with_chunk(column.name().clone(), out.freeze()).into_column())
}

/// TCP flags as letters in the exporters' order, `0` for none.
pub(crate) fn tcp_flag_letters(column: &Column) -> PolarsResult<Column> {
    let names: Vec<String> = (0..=255).map(flag_letters).collect();
    let bits = column.i64()?;
    let letters = map_numbers(bits, |bits| names.get(bits as usize).map_or("0", String::as_str));
    Ok(letters.into_column())
}

/// The letters of one set of TCP flags.
pub(crate) fn flag_letters(bits: u8) -> String {
    if bits == 0 {
        return "0".to_owned();
    }
    TCP_FLAG_LETTERS.iter().filter(|(_, bit)| bits & bit != 0).map(|(letter, _)| *letter as char).collect()
}

/// Looks each row up in a table.
pub(crate) fn lookup(columns: &[Column], table: &LookupTable) -> PolarsResult<Column> {
    let keys: Vec<&Int64Chunked> = columns.iter().map(|column| column.i64()).collect::<PolarsResult<_>>()?;
    let rows = columns.first().map_or(0, Column::len);
    let mut out = MutableBinaryViewArray::<str>::with_capacity(rows);
    let mut iterators: Vec<_> = keys.iter().map(|key| key.iter()).collect();
    let mut key = vec![0; keys.len()];
    for _ in 0..rows {
        let mut complete = true;
        for (value, iterator) in key.iter_mut().zip(&mut iterators) {
            match iterator.next().flatten() {
                Some(number) => *value = number,
                None => complete = false,
            }
        }
        let found = table.entries.iter().find(|(entry, _)| complete && *entry == key);
        out.push_value(found.map_or(table.default.as_str(), |(_, value)| value));
    }
    Ok(StringChunked::with_chunk(PlSmallStr::EMPTY, out.freeze()).into_column())
}

fn map_text<'a>(column: &'a StringChunked, f: impl Fn(&'a str) -> Cow<'a, str>) -> StringChunked {
    let mut out = MutableBinaryViewArray::<str>::with_capacity(column.len());
    for value in column.iter() {
        match value {
            Some(value) => out.push_value(f(value).as_ref()),
            None => out.push_null(),
        }
    }
    ChunkedArray::with_chunk(column.name().clone(), out.freeze())
}

fn map_numbers<'a>(column: &Int64Chunked, f: impl Fn(i64) -> &'a str) -> StringChunked {
    let mut out = MutableBinaryViewArray::<str>::with_capacity(column.len());
    for value in column.iter() {
        match value {
            Some(value) => out.push_value(f(value)),
            None => out.push_null(),
        }
    }
    ChunkedArray::with_chunk(column.name().clone(), out.freeze())
}
