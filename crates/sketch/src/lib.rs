//! How many distinct values there are, estimated in a fixed amount of memory (HyperLogLog).
//!
//! Evidence of dropped fields and profiles of columns both count distinct values, and both can meet more of them than
//! memory should hold. A [`Sketch`] depends on nothing but the set of values it was given: not on their order, on how often
//! each came, nor on how they were cut into parts that were merged. So what a build says of its values is the same
//! whatever the number of threads.

#![forbid(unsafe_code)]

use std::fmt::Write;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Base-2 logarithm of the number of registers; the standard error is 1.04 / sqrt(registers), about 1.6 %.
const REGISTER_BITS: u32 = 12;

/// Registers of an estimate: 4 KiB.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    registers: Vec<u8>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { registers: vec![0; 1 << REGISTER_BITS] }
    }
}

impl Sketch {
    /// Adds a number.
    pub fn insert_number(&mut self, value: i64) {
        self.insert(mix(value.cast_unsigned()));
    }

    /// Adds a text.
    pub fn insert_text(&mut self, value: &str) {
        // Eight bytes at a time, the last eight again if they are no whole: in a column of nearly unique text this is done
        // for every row.
        let (words, rest) = value.as_bytes().as_chunks();
        let last = match value.as_bytes().last_chunk() {
            Some(last) => *last,
            None => {
                let mut last = [0; 8];
                last[..rest.len()].copy_from_slice(rest);
                last
            }
        };
        let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
        let hash = words.fold(value.len() as u64, |hash, word| {
            let product = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            product ^ product >> 32
        });
        self.insert(mix(hash));
    }

    /// Adds all values that another has been given.
    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.registers.iter_mut().zip(&other.registers) {
            *a = (*a).max(*b);
        }
    }

    /// About how many distinct values it has been given.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        let m = self.registers.len() as f64;
        let sum: f64 = self.registers.iter().map(|&rank| 0.5_f64.powi(i32::from(rank))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = self.registers.iter().filter(|&&rank| rank == 0).count();
        // Linear counting is better while registers are empty.
        let estimate = if raw <= 2.5 * m && empty > 0 { m * (m / empty as f64).ln() } else { raw };
        estimate.round() as u64
    }

    fn insert(&mut self, hash: u64) {
        let register = (hash >> (64 - REGISTER_BITS)) as usize;
        let rank = (hash << REGISTER_BITS | 1 << (REGISTER_BITS - 1)).leading_zeros() as u8 + 1;
        self.registers[register] = self.registers[register].max(rank);
    }
}

/// Two hexadecimal digits a register.
impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(2 * self.registers.len());
        for register in &self.registers {
            let _ = write!(text, "{register:02x}");
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        let (digits, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let registers: Option<Vec<u8>> =
            digits.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        match registers {
            Some(registers) if rest.is_empty() && registers.len() == 1 << REGISTER_BITS => {
                Ok(Self { registers })
            }
            _ => Err(D::Error::custom("not the registers of a sketch")),
        }
    }
}

/// The finaliser of SplitMix64: the same on every machine and in every version.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect_about(sketch: &Sketch, count: u64) {
        let error = (sketch.estimate() as f64 - count as f64).abs() / count as f64;
        assert!(error < 5.0 * 0.01625, "{count}: {}", sketch.estimate());
    }

    #[test]
    fn estimates_are_within_five_standard_errors() {
        for count in [100_u64, 1025, 5000, 20_000, 300_000] {
            let (mut numbers, mut times, mut addresses) =
                (Sketch::default(), Sketch::default(), Sketch::default());
            for i in 0..count {
                numbers.insert_number(i as i64 * 7919);
                times.insert_text(&format!(
                    "{:02}:{:02}:{:02}.{:03}",
                    i / 3_600_000,
                    i / 60_000 % 60,
                    i / 1000 % 60,
                    i % 1000
                ));
                addresses.insert_text(&format!("2001:db8::{:x}:{:x}", i / 65_536, i % 65_536));
            }
            for sketch in [&numbers, &times, &addresses] {
                expect_about(sketch, count);
            }
        }
    }

    #[test]
    fn neither_order_nor_parts_nor_repetition_matter() {
        let mut whole = Sketch::default();
        (0..10_000).for_each(|i| whole.insert_number(i));
        let mut merged = Sketch::default();
        for start in (0_i64..20).rev().map(|part| part * 500) {
            let mut part = Sketch::default();
            (start..start + 700).rev().for_each(|i| part.insert_number(i % 10_000));
            merged.merge(&part);
        }
        assert_eq!(whole, merged);
    }

    #[test]
    fn texts_that_differ_in_trailing_zeros_are_two() {
        let mut sketch = Sketch::default();
        sketch.insert_text("a");
        sketch.insert_text("a\0");
        sketch.insert_text("");
        assert_eq!(sketch.estimate(), 3);
        assert_eq!(Sketch::default().estimate(), 0);
    }
}
