//! The content digest: a fingerprint of rows that does not depend on how Parquet encodes them.
//!
//! The SHA-256 of a file proves that its bytes are the ones published. It says nothing once another version of this
//! tool, or of its Parquet library, encodes the same rows differently. The content digest does: it is taken over the
//! values alone, and any program can compute it. Text below is the definition; docs/FORMAT.md repeats it for users.
//!
//! Rows in file order are cut into blocks of [`BLOCK_ROWS`]; the last may be shorter.
//! - *Column digest* of a block: SHA-256 over one byte per row, 1 for a value and 0 for null; then the values, a null as
//!   zeros. `int32` and `date` are 4 bytes, `int64` and `timestamp[ms, UTC]` 8, `float64` the 8 bytes of its IEEE 754
//!   bits, all little-endian. `string` is first all lengths in bytes as 4-byte integers (null is 0), then all bytes one
//!   after the other.
//! - *Block digest*: SHA-256 over, for each column in schema order, the length of its name and the name, the length of
//!   its type's name in the manifest and that name, the column digest. Lengths are bytes, as 4-byte integers.
//! - *Content digest*: SHA-256 over the line `flowlake-content-1` with its line feed, the number of rows as an 8-byte
//!   integer, and the block digests in order.

use std::sync::LazyLock;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, StringViewArray};
use sha2::{Digest, Sha256};

use crate::manifest::ColumnType;
use crate::table::{arrow_type, type_name};

/// Rows of a block.
pub const BLOCK_ROWS: usize = 65_536;

// Value buffers are hashed as they lie in memory.
const _: () =
    assert!(cfg!(target_endian = "little"), "content digests are written for little-endian machines");

/// The state after the validity bytes of a full block without nulls: nearly every column begins with it, and a tenth
/// of all bytes need not be hashed.
static FULL_BLOCK_VALID: LazyLock<Sha256> = LazyLock::new(|| Sha256::new_with_prefix([1u8; BLOCK_ROWS]));

/// An array whose type is not the one its column has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {name} holds {found}, not {expected}")]
pub struct DigestError {
    name: String,
    expected: &'static str,
    found: String,
}

/// Digest of one block.
pub(crate) type BlockDigest = [u8; 32];

/// Takes block digests column by column; keeps its buffer between columns.
#[derive(Default)]
pub(crate) struct BlockHasher {
    block: Sha256,
    scratch: Vec<u8>,
}

impl BlockHasher {
    /// Adds the next column: its values of this block.
    pub(crate) fn column(
        &mut self,
        name: &str,
        data_type: ColumnType,
        values: &dyn Array,
    ) -> Result<(), DigestError> {
        if values.data_type() != &arrow_type(data_type) {
            return Err(DigestError {
                name: name.to_owned(),
                expected: type_name(data_type),
                found: values.data_type().to_string(),
            });
        }
        let mut hasher = self.validity(values);
        match data_type {
            ColumnType::String => self.text(&mut hasher, values.as_string_view()),
            ColumnType::Int32 => self.fixed::<Int32Type>(&mut hasher, values),
            ColumnType::Int64 => self.fixed::<Int64Type>(&mut hasher, values),
            ColumnType::Float64 => self.fixed::<Float64Type>(&mut hasher, values),
            ColumnType::Date => self.fixed::<Date32Type>(&mut hasher, values),
            ColumnType::TimestampMillis => self.fixed::<TimestampMillisecondType>(&mut hasher, values),
        }
        for text in [name, type_name(data_type)] {
            self.block.update((text.len() as u32).to_le_bytes());
            self.block.update(text);
        }
        self.block.update(hasher.finalize());
        Ok(())
    }

    /// The digest of the block, after its last column; the next column begins another block.
    pub(crate) fn finish(&mut self) -> BlockDigest {
        self.block.finalize_reset().into()
    }

    fn validity(&mut self, values: &dyn Array) -> Sha256 {
        let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0);
        if nulls.is_none() && values.len() == BLOCK_ROWS {
            return FULL_BLOCK_VALID.clone();
        }
        self.scratch.clear();
        match nulls {
            Some(nulls) => self.scratch.extend(nulls.iter().map(u8::from)),
            None => self.scratch.resize(values.len(), 1),
        }
        Sha256::new_with_prefix(&self.scratch)
    }

    fn fixed<T: ArrowPrimitiveType>(&mut self, hasher: &mut Sha256, values: &dyn Array) {
        let values = values.as_primitive::<T>();
        let bytes = values.values().inner().as_slice();
        match values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => hasher.update(bytes),
            Some(nulls) => {
                // What lies under a null is whatever the producer left there.
                self.scratch.clear();
                self.scratch.extend_from_slice(bytes);
                for (slot, valid) in self.scratch.chunks_exact_mut(size_of::<T::Native>()).zip(nulls.iter()) {
                    if !valid {
                        slot.fill(0);
                    }
                }
                hasher.update(&self.scratch);
            }
        }
    }

    fn text(&mut self, hasher: &mut Sha256, values: &StringViewArray) {
        // The low 32 bits of a view are the length, also of a null's, hence the mask.
        self.scratch.clear();
        match values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => self.scratch.extend(values.views().iter().flat_map(|view| (*view as u32).to_le_bytes())),
            Some(nulls) => self.scratch.extend(
                values
                    .views()
                    .iter()
                    .zip(nulls.iter())
                    .flat_map(|(view, valid)| (*view as u32 * u32::from(valid)).to_le_bytes()),
            ),
        }
        hasher.update(&self.scratch);
        self.scratch.clear();
        for text in values.iter().flatten() {
            self.scratch.extend_from_slice(text.as_bytes());
        }
        hasher.update(&self.scratch);
    }
}

/// The block digests of neighbouring rows, beginning at a block's first row.
pub(crate) struct BlockDigests {
    rows: usize,
    blocks: Vec<BlockHasher>,
}

impl BlockDigests {
    /// Digests of `rows` rows.
    pub(crate) fn new(rows: usize) -> Self {
        let blocks = (0..rows.div_ceil(BLOCK_ROWS)).map(|_| BlockHasher::default()).collect();
        Self { rows, blocks }
    }

    /// Adds the next column: its values of all the rows.
    pub(crate) fn column(
        &mut self,
        name: &str,
        data_type: ColumnType,
        values: &ArrayRef,
    ) -> Result<(), DigestError> {
        for (block, hasher) in self.blocks.iter_mut().enumerate() {
            let start = block * BLOCK_ROWS;
            let part = values.slice(start, BLOCK_ROWS.min(self.rows - start));
            hasher.column(name, data_type, part.as_ref())?;
        }
        Ok(())
    }

    /// The digests, after the last column.
    pub(crate) fn finish(self) -> Vec<BlockDigest> {
        self.blocks.into_iter().map(|mut hasher| hasher.finish()).collect()
    }
}

/// Gathers the block digests of a file into its content digest.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContentDigest {
    rows: u64,
    blocks: Vec<BlockDigest>,
}

impl ContentDigest {
    /// Adds the blocks of the next `rows` rows. All but the last call must bring whole blocks.
    pub(crate) fn push(&mut self, rows: usize, blocks: &[BlockDigest]) {
        self.rows += rows as u64;
        self.blocks.extend_from_slice(blocks);
    }

    /// The digest, hexadecimal.
    pub(crate) fn finish(self) -> String {
        let mut hasher = Sha256::new_with_prefix(b"flowlake-content-1\n");
        hasher.update(self.rows.to_le_bytes());
        for block in self.blocks {
            hasher.update(block);
        }
        hex(&hasher.finalize())
    }
}

/// Lower-case hexadecimal text of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Float64Array, Int32Array, Int64Array};
    use std::sync::Arc;

    fn digest_of(columns: &[(&str, ColumnType, ArrayRef)]) -> String {
        let rows = columns[0].2.len();
        let mut blocks = BlockDigests::new(rows);
        for (name, data_type, values) in columns {
            blocks.column(name, *data_type, values).expect("types agree");
        }
        let mut content = ContentDigest::default();
        content.push(rows, &blocks.finish());
        content.finish()
    }

    /// The definition, spelt out byte by byte.
    #[test]
    fn it_is_what_the_definition_says() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(-1)]));
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("añ"), Some(""), None]));
        let found = digest_of(&[("n", ColumnType::Int32, ints), ("t", ColumnType::String, texts)]);

        let column_n = Sha256::digest([1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
        let column_t = Sha256::digest([1, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'a', 0xc3, 0xb1]);
        let mut block = Vec::new();
        block.extend_from_slice(b"\x01\0\0\0n\x05\0\0\0int32");
        block.extend_from_slice(&column_n);
        block.extend_from_slice(b"\x01\0\0\0t\x06\0\0\0string");
        block.extend_from_slice(&column_t);
        let mut file = b"flowlake-content-1\n\x03\0\0\0\0\0\0\0".to_vec();
        file.extend_from_slice(&Sha256::digest(&block));
        assert_eq!(found, hex(&Sha256::digest(&file)));
    }

    #[test]
    fn full_blocks_are_hashed_like_any_other() {
        let rows = BLOCK_ROWS as i64 + 1;
        let values: Vec<i64> = (0..rows).collect();
        let found = digest_of(&[("n", ColumnType::Int64, Arc::new(Int64Array::from(values.clone())))]);

        let mut file = b"flowlake-content-1\n".to_vec();
        file.extend_from_slice(&(rows as u64).to_le_bytes());
        for part in values.chunks(BLOCK_ROWS) {
            let mut column = vec![1u8; part.len()];
            column.extend(part.iter().flat_map(|v| v.to_le_bytes()));
            let mut block = b"\x01\0\0\0n\x05\0\0\0int64".to_vec();
            block.extend_from_slice(&Sha256::digest(&column));
            file.extend_from_slice(&Sha256::digest(&block));
        }
        assert_eq!(found, hex(&Sha256::digest(&file)));
    }

    #[test]
    fn what_lies_under_a_null_does_not_count() {
        let clean = Float64Array::from(vec![Some(1.5), None]);
        let dirty = Float64Array::new(vec![1.5, 99.0].into(), clean.nulls().cloned());
        assert_eq!(
            digest_of(&[("x", ColumnType::Float64, Arc::new(clean))]),
            digest_of(&[("x", ColumnType::Float64, Arc::new(dirty))])
        );
        let clean = StringViewArray::from(vec![Some("a"), None]);
        let dirty = StringViewArray::from(vec!["a", "left over, longer than inline"]);
        let dirty = StringViewArray::new(
            dirty.views().clone(),
            dirty.data_buffers().to_vec(),
            clean.nulls().cloned(),
        );
        assert_eq!(
            digest_of(&[("t", ColumnType::String, Arc::new(clean))]),
            digest_of(&[("t", ColumnType::String, Arc::new(dirty))])
        );
    }

    #[test]
    fn a_null_is_no_zero_and_a_name_counts() {
        let column = |values: Vec<Option<i32>>| -> ArrayRef { Arc::new(Int32Array::from(values)) };
        let zero = digest_of(&[("n", ColumnType::Int32, column(vec![Some(0)]))]);
        assert_ne!(zero, digest_of(&[("n", ColumnType::Int32, column(vec![None]))]));
        assert_ne!(zero, digest_of(&[("m", ColumnType::Int32, column(vec![Some(0)]))]));
        assert_ne!(zero, digest_of(&[("n", ColumnType::Int32, column(vec![Some(0), Some(0)]))]));
    }

    #[test]
    fn a_column_of_another_type_is_an_error() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(BlockDigests::new(1).column("n", ColumnType::Date, &values).is_err());
    }
}
