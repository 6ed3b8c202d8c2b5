//! Functions on whole columns that Polars has no expression for.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use flowlake_ingest::schema::TCP_FLAG_LETTERS;
use polars::prelude::{
    ArrowDataType, BooleanChunked, ChunkTake, Column, DataType, Field, IDX_DTYPE, IdxCa, IdxSize,
    Int64Chunked, IntoColumn, NewChunkedArray, PlHashMap, PlSmallStr, PolarsResult, Schema, StringChunked,
};
use polars_arrow::array::{Array, Utf8ViewArray, View};
use polars_buffer::Buffer;

use crate::recipe::LookupTable;
use crate::repair::UNSPECIFIED;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// Output type of a kernel that keeps its first column's name.
pub(crate) fn text_field(_: &Schema, field: &Field) -> PolarsResult<Field> {
    Ok(Field::new(field.name().clone(), DataType::String))
}

/// As [`text_field`], for kernels that give integers.
pub(crate) fn int64_field(_: &Schema, field: &Field) -> PolarsResult<Field> {
    Ok(Field::new(field.name().clone(), DataType::Int64))
}

/// As [`text_field`], for kernels that give yes or no.
pub(crate) fn boolean_field(_: &Schema, field: &Field) -> PolarsResult<Field> {
    Ok(Field::new(field.name().clone(), DataType::Boolean))
}

/// As [`text_field`], for kernels of several columns.
pub(crate) fn text_field_of_first(schema: &Schema, fields: &[Field]) -> PolarsResult<Field> {
    text_field(schema, &fields[0])
}

/// A MAC address in lower case with `:`, without the stray `:` behind it.
pub(crate) fn canonical_mac(column: &Column) -> PolarsResult<Column> {
    let mut values = Values::default();
    let codes = codes(column.str()?, |memo, view, mac, _| {
        memo.get(view, || {
            let mac = if mac.len() == 18 { mac.strip_suffix(':').unwrap_or(mac) } else { mac };
            values.add(&mac.replace('-', ":").to_ascii_lowercase())
        })
    });
    values.gather(column.name().clone(), &codes)
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
    let other = other.str()?;
    let mut values = Values::default();
    let zeros = values.add(UNSPECIFIED);
    let codes = codes(address.str()?, |memo, view, address, row| {
        // The low bit says that the address is unspecified.
        let code = memo.get(view, || {
            let parsed = address.contains(':').then(|| address.parse::<Ipv6Addr>().ok()).flatten();
            let code = match parsed {
                // The standard library prints IPv6 as RFC 5952 recommends.
                Some(ip) if repairs.canonical => values.add(&ip.to_string()),
                _ => values.add(address),
            };
            code << 1 | IdxSize::from(parsed.is_some_and(|ip| ip.is_unspecified()))
        });
        let opposite_ipv4 = || other.get(row).is_some_and(|other| !other.contains(':'));
        if code & 1 == 1 && repairs.unspecified && opposite_ipv4() { zeros } else { code >> 1 }
    });
    values.gather(PlSmallStr::EMPTY, &codes)
}

/// IPv4 addresses as their 32-bit values; null for IPv6.
pub(crate) fn ipv4_integer(column: &Column) -> PolarsResult<Column> {
    let mut values: Vec<Option<i64>> = Vec::new();
    let codes = codes(column.str()?, |memo, view, address, _| {
        memo.get(view, || {
            values.push(address.parse::<Ipv4Addr>().ok().map(|ip| i64::from(ip.to_bits())));
            (values.len() - 1) as IdxSize
        })
    });
    if values.is_empty() {
        values.push(None);
    }
    let values = Int64Chunked::from_iter_options(column.name().clone(), values.into_iter());
    Ok(values.take(&codes)?.into_column())
}

/// Whether an address is IPv6: those alone are written with `:`.
pub(crate) fn is_ipv6(column: &Column) -> PolarsResult<Column> {
    let mut holds: BooleanChunked =
        column.str()?.iter().map(|address| address.map(|address| address.contains(':'))).collect();
    holds.rename(column.name().clone());
    Ok(holds.into_column())
}

/// `HH:MM:SS.mmm` of milliseconds since 1970, UTC.
pub(crate) fn time_of_day(column: &Column) -> PolarsResult<Column> {
    let millis = column.cast(&DataType::Int64)?;
    let millis = millis.i64()?.rechunk();
    let millis = millis.downcast_as_array();
    let mut text = *b"00:00:00.000";
    let views: Vec<View> = millis
        .values()
        .iter()
        .map(|value| {
            let of_day = value.rem_euclid(MILLIS_PER_DAY) as u32;
            let (seconds, millis) = (of_day / 1000, of_day % 1000);
            let (minutes, second) = (seconds / 60, seconds % 60);
            let (hour, minute) = (minutes / 60, minutes % 60);
            for (at, number) in [(0, hour), (3, minute), (6, second), (9, millis / 10)] {
                text[at] = b'0' + (number / 10) as u8;
                text[at + 1] = b'0' + (number % 10) as u8;
            }
            text[11] = b'0' + (millis % 10) as u8;
            // Twelve bytes are just what fits into a view.
            View::new_inline(&text)
        })
        .collect();
    let text = Utf8ViewArray::try_new(
        ArrowDataType::Utf8View,
        views.into(),
        Buffer::new(),
        millis.validity().cloned(),
    )?;
    Ok(StringChunked::with_chunk(column.name().clone(), text).into_column())
}

/// Every set of TCP flags in the exporters' letters.
static FLAG_LETTERS: LazyLock<StringChunked> =
    LazyLock::new(|| StringChunked::from_iter_values(PlSmallStr::EMPTY, (0..=255).map(flag_letters)));

/// TCP flags as letters in the exporters' order, `0` for none.
pub(crate) fn tcp_flag_letters(column: &Column) -> PolarsResult<Column> {
    let codes = column.cast(&IDX_DTYPE)?;
    let mut letters = FLAG_LETTERS.take(codes.idx()?)?;
    letters.rename(column.name().clone());
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
    let keys: Vec<Int64Chunked> =
        columns.iter().map(|column| Ok(column.i64()?.rechunk().into_owned())).collect::<PolarsResult<_>>()?;
    let mut values = Values::default();
    let default = values.add(&table.default);
    let entries: PlHashMap<&[i64], IdxSize> =
        table.entries.iter().map(|(key, value)| (key.as_slice(), values.add(value))).collect();
    let rows = columns.first().map_or(0, Column::len);
    // Neighbouring rows often have the same key.
    let mut last = (vec![0; keys.len()], None);
    let mut key = vec![0; keys.len()];
    let mut codes = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut complete = true;
        for (value, column) in key.iter_mut().zip(&keys) {
            match column.get(row) {
                Some(number) => *value = number,
                None => complete = false,
            }
        }
        codes.push(match &last {
            _ if !complete => default,
            (known, Some(code)) if *known == key => *code,
            _ => {
                let code = entries.get(key.as_slice()).copied().unwrap_or(default);
                last.0.copy_from_slice(&key);
                last.1 = Some(code);
                code
            }
        });
    }
    values.gather(PlSmallStr::EMPTY, &IdxCa::from_vec(PlSmallStr::EMPTY, codes))
}

/// The few texts a column is made of.
#[derive(Default)]
struct Values(Vec<String>);

impl Values {
    /// The code of a text. The same text may get several.
    fn add(&mut self, value: &str) -> IdxSize {
        self.0.push(value.to_owned());
        (self.0.len() - 1) as IdxSize
    }

    /// The column of the texts with these codes; null where there is none.
    fn gather(mut self, name: PlSmallStr, codes: &IdxCa) -> PolarsResult<Column> {
        // Even where all is null, the slots need something to point at.
        if self.0.is_empty() {
            self.add("");
        }
        Ok(StringChunked::from_iter_values(name, self.0.into_iter()).take(codes)?.into_column())
    }
}

/// Codes of the texts of a column, row by row; null stays null. A text is asked for with its view and its row.
fn codes(text: &StringChunked, mut code: impl FnMut(&mut Memo, View, &str, usize) -> IdxSize) -> IdxCa {
    let text = text.rechunk();
    let array = text.downcast_as_array();
    let mut memo = Memo::default();
    let codes = array
        .views()
        .iter()
        .zip(array.iter())
        .enumerate()
        .map(|(row, (view, value))| value.map_or(0, |value| code(&mut memo, *view, value, row)))
        .collect();
    IdxCa::from_vec_validity(PlSmallStr::EMPTY, codes, array.validity().cloned())
}

/// What was made of the texts seen last, by their views: the decoder gives the same view to the same text, so a text is
/// looked into about once a chunk.
struct Memo(Vec<(View, Option<IdxSize>)>);

impl Default for Memo {
    fn default() -> Self {
        Self(vec![(View::default(), None); 256])
    }
}

impl Memo {
    #[inline]
    fn get(&mut self, view: View, make: impl FnOnce() -> IdxSize) -> IdxSize {
        let mixed =
            (view.offset ^ view.prefix.rotate_left(16) ^ view.buffer_idx.rotate_left(8) ^ view.length)
                .wrapping_mul(0x9E37_79B1);
        let slot = &mut self.0[(mixed >> 24) as usize];
        match *slot {
            (known, Some(code)) if known == view => code,
            _ => {
                let code = make();
                *slot = (view, Some(code));
                code
            }
        }
    }
}
