//! Column builders: rows go in, a `DataFrame` in the raw schema comes out.
//!
//! Numbers are plain vectors. Text is *interned*: each distinct text of a chunk is stored, and judged, once, and a row is
//! a 16-byte view of it, because the addresses of a dump are few and its rows are many.

use std::collections::HashMap;

use polars::prelude::{
    ArrowDataType, Column, DataFrame, DataType, IntoColumn, PlSmallStr, PolarsResult, Series, TimeUnit,
};
use polars_arrow::array::{PrimitiveArray, Utf8ViewArray, View};
use polars_arrow::bitmap::Bitmap;
use polars_buffer::Buffer;

use crate::direction::{DIRECTION, Direction};
use crate::schema::{FIELD_COUNT, FIELDS, Kind, LINE};

/// Number of text fields.
pub(crate) const TEXT_COUNT: usize = {
    let mut n = 0;
    let mut i = 0;
    while i < FIELD_COUNT {
        n += FIELDS[i].kind.is_text() as usize;
        i += 1;
    }
    n
};

/// Position of each field among the text fields; meaningless for numbers.
pub(crate) const TEXT_SLOT: [usize; FIELD_COUNT] = {
    let mut slots = [0; FIELD_COUNT];
    let mut n = 0;
    let mut i = 0;
    while i < FIELD_COUNT {
        slots[i] = n;
        n += FIELDS[i].kind.is_text() as usize;
        i += 1;
    }
    slots
};

/// Bits of the fields a flow must have.
pub(crate) const REQUIRED: u64 = {
    let mut bits = 0;
    let mut i = 0;
    while i < FIELD_COUNT {
        bits |= (FIELDS[i].required as u64) << i;
        i += 1;
    }
    bits
};

/// One flow. Values of absent fields are leftovers without meaning.
pub(crate) struct Row {
    /// Bit per field: whether it is there.
    pub(crate) present: u64,
    pub(crate) numbers: [i64; FIELD_COUNT],
    pub(crate) texts: [View; TEXT_COUNT],
}

impl Default for Row {
    fn default() -> Self {
        Self { present: 0, numbers: [0; FIELD_COUNT], texts: [View::default(); TEXT_COUNT] }
    }
}

/// Columns under construction.
#[derive(Default)]
pub(crate) struct Columns {
    present: Vec<u64>,
    /// Fields that every row so far has.
    in_all: u64,
    numbers: Vec<Vec<i64>>,
    texts: Vec<Vec<View>>,
    lines: Vec<i64>,
    directions: Vec<View>,
    pub(crate) interner: Interner,
}

impl Columns {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        let capacity = |text: bool| {
            move |field: &crate::schema::Field| if field.kind.is_text() == text { rows } else { 0 }
        };
        Self {
            present: Vec::with_capacity(rows),
            in_all: u64::MAX,
            numbers: FIELDS.iter().map(capacity(false)).map(Vec::with_capacity).collect(),
            texts: (0..TEXT_COUNT).map(|_| Vec::with_capacity(rows)).collect(),
            lines: Vec::with_capacity(rows),
            directions: Vec::new(),
            interner: Interner::default(),
        }
    }

    /// The direction of the row that is pushed next.
    #[inline]
    pub(crate) fn push_direction(&mut self, direction: Direction) {
        self.directions.push(View::new_inline(direction.name().as_bytes()));
    }

    #[inline]
    pub(crate) fn push(&mut self, row: &Row, line: u64) {
        self.present.push(row.present);
        self.in_all &= row.present;
        for (i, column) in self.numbers.iter_mut().enumerate() {
            if !FIELDS[i].kind.is_text() {
                column.push(row.numbers[i]);
            }
        }
        for (column, view) in self.texts.iter_mut().zip(row.texts) {
            column.push(view);
        }
        self.lines.push(line.cast_signed());
    }

    /// The frame; with a column of directions if every row has got one.
    pub(crate) fn finish(self, directed: bool) -> PolarsResult<DataFrame> {
        let height = self.present.len();
        let Self { present, in_all, numbers, texts, lines, directions, interner } = self;
        let buffer = interner.into_buffer();
        let mut columns = Vec::with_capacity(FIELD_COUNT + 1);
        let mut texts = texts.into_iter();
        for (i, (field, mut numbers)) in FIELDS.iter().zip(numbers).enumerate() {
            // Columns may wait long for their row group; the room for flows without a row must not wait with them.
            numbers.shrink_to_fit();
            let validity = (in_all >> i & 1 == 0)
                .then(|| Bitmap::from_trusted_len_iter(present.iter().map(|bits| bits >> i & 1 == 1)));
            let name = PlSmallStr::from_static(field.name);
            let array = if field.kind.is_text() {
                let mut views = texts.next().unwrap_or_default();
                views.shrink_to_fit();
                Utf8ViewArray::try_new(
                    ArrowDataType::Utf8View,
                    views.into(),
                    vec![buffer.clone()].into(),
                    validity,
                )?
                .boxed()
            } else {
                PrimitiveArray::new(ArrowDataType::Int64, numbers.into(), validity).boxed()
            };
            let series = Series::from_arrow(name, array)?;
            columns.push(match field.kind {
                Kind::Timestamp => {
                    series.cast(&DataType::Datetime(TimeUnit::Milliseconds, None))?.into_column()
                }
                _ => series.into_column(),
            });
        }
        columns.push(Column::new(PlSmallStr::from_static(LINE), lines));
        if directed {
            let names =
                Utf8ViewArray::try_new(ArrowDataType::Utf8View, directions.into(), Buffer::new(), None)?;
            let series = Series::from_arrow(PlSmallStr::from_static(DIRECTION), names.boxed())?;
            columns.push(series.into_column());
        }
        DataFrame::new(height, columns)
    }
}

/// Entries of the table in front of the map.
const SLOTS: usize = 512;

/// Each distinct text once.
pub(crate) struct Interner {
    buffer: Vec<u8>,
    slots: Vec<Slot>,
    known: [HashMap<Box<[u8]>, Slot>; 4],
}

#[derive(Clone, Copy)]
struct Slot {
    kind: Judged,
    start: u32,
    len: u32,
    view: View,
}

/// What a text was judged as. The same text may be good as one kind and bad as another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Judged {
    Empty,
    Mac,
    Ip,
    Text,
}

impl Default for Interner {
    fn default() -> Self {
        let empty = Slot { kind: Judged::Empty, start: 0, len: 0, view: View::default() };
        Self { buffer: Vec::new(), slots: vec![empty; SLOTS], known: Default::default() }
    }
}

impl Interner {
    /// The view of a text, if `judge` finds it good; asked once a distinct text.
    #[inline(always)]
    pub(crate) fn intern(&mut self, text: &[u8], kind: Judged, judge: fn(&str) -> bool) -> Option<View> {
        let slot = self.slot(text, kind);
        let Slot { kind: slot_kind, start, len, view } = self.slots[slot];
        if slot_kind == kind && same(&self.buffer[start as usize..][..len as usize], text) {
            return Some(view);
        }
        self.intern_slowly(text, kind, judge, slot)
    }

    #[inline(always)]
    fn slot(&self, text: &[u8], kind: Judged) -> usize {
        // The last bytes tell addresses of one network apart, the first ones networks.
        let tail = text.last_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let head = text.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let mixed = (tail ^ head.rotate_left(23) ^ (text.len() as u64) ^ ((kind as u64) << 40))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 55) as usize
    }

    #[cold]
    fn intern_slowly(
        &mut self,
        text: &[u8],
        kind: Judged,
        judge: fn(&str) -> bool,
        slot: usize,
    ) -> Option<View> {
        let known = &mut self.known[kind as usize];
        if let Some(entry) = known.get(text) {
            self.slots[slot] = *entry;
            return Some(entry.view);
        }
        if !std::str::from_utf8(text).is_ok_and(judge) {
            return None;
        }
        let start = u32::try_from(self.buffer.len()).ok()?;
        let len = u32::try_from(text.len()).ok()?;
        self.buffer.extend_from_slice(text);
        let entry = Slot { kind, start, len, view: View::new_from_bytes(text, 0, start) };
        self.slots[slot] = entry;
        known.insert(Box::from(text), entry);
        Some(entry.view)
    }

    /// The texts, one behind the other: what the offset of a view that is not inline points into.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    fn into_buffer(self) -> Buffer<u8> {
        self.buffer.into()
    }
}

/// Whether texts are equal. Addresses are compared by their first and last bytes, which overlap, in place of a call.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    #[inline(always)]
    fn ends<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
        Some((text.first_chunk()?, text.last_chunk()?))
    }
    a.len() == b.len()
        && match a.len() {
            8..=16 => ends::<8>(a) == ends::<8>(b),
            17..=32 => ends::<16>(a) == ends::<16>(b),
            _ => a == b,
        }
}
