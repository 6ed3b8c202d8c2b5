//! Ranges and sums of numbers, without rounding on the way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::{Profile, ProfileValue};

/// Numbers whose sums of 32-bit halves fit 64 bits.
const BLOCK: usize = 1 << 16;
/// Bits of the mantissa of a 64-bit float that are written.
const MANTISSA_BITS: u32 = 52;

/// Range and sum of integers; without any, an empty range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Integers {
    pub(super) min: i64,
    pub(super) max: i64,
    #[serde(with = "wide")]
    pub(super) sum: i128,
}

impl Default for Integers {
    fn default() -> Self {
        Self { min: i64::MAX, max: i64::MIN, sum: 0 }
    }
}

impl Integers {
    pub(super) fn count<N: Copy + Into<i64> + Ord>(&mut self, values: &[N]) {
        for block in values.chunks(BLOCK) {
            let [mut min, mut max] = [block[0]; 2];
            // In halves, so that neither sum overflows and both are of machine words.
            let (mut low, mut high) = (0_u64, 0_i64);
            for &value in block {
                min = min.min(value);
                max = max.max(value);
                let value = value.into();
                low += u64::from(value as u32);
                high += value >> 32;
            }
            self.min = self.min.min(min.into());
            self.max = self.max.max(max.into());
            self.sum += (i128::from(high) << 32) + i128::from(low);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
    }
}

/// Range and sum of the floating point numbers that are finite.
///
/// A sum of floats depends on their order. Here mantissas are summed up as integers, those of each exponent apart, so that
/// nothing is rounded until the end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Floats {
    range: Option<(f64, f64)>,
    count: u64,
    mantissas: BTreeMap<u16, Wide>,
}

/// A number of 128 bits, which is text in JSON: its readers take numbers for 64 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Wide(#[serde(with = "wide")] i128);

mod wide {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Floats {
    pub(super) fn count(&mut self, values: &[f64]) {
        let mut mantissas = vec![0_i128; 1 << 11];
        for &value in values.iter().filter(|value| value.is_finite()) {
            // Zero has one sign here: which of two equal numbers came first must not be seen.
            let value = value + 0.0;
            let (min, max) = self.range.unwrap_or((value, value));
            self.range = Some((min.min(value), max.max(value)));
            self.count += 1;
            let bits = value.to_bits();
            let exponent = (bits >> MANTISSA_BITS) as usize & 0x7ff;
            let written = (bits & ((1 << MANTISSA_BITS) - 1)) as i128;
            // Numbers too small for a leading one have the scale of the smallest that have it.
            let mantissa = if exponent == 0 { written } else { written | 1 << MANTISSA_BITS };
            mantissas[exponent.max(1)] += if value.is_sign_negative() { -mantissa } else { mantissa };
        }
        for (exponent, sum) in (0_u16..).zip(mantissas).filter(|(_, sum)| *sum != 0) {
            self.mantissas.entry(exponent).or_default().0 += sum;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.range = match (self.range, other.range) {
            (Some((min, max)), Some((other_min, other_max))) => {
                Some((min.min(other_min), max.max(other_max)))
            }
            (own, others) => own.or(others),
        };
        self.count += other.count;
        for (exponent, sum) in &other.mantissas {
            self.mantissas.entry(*exponent).or_default().0 += sum.0;
        }
    }

    pub(super) fn summary(&self, profile: Profile) -> Profile {
        let Some((min, max)) = self.range else { return profile };
        let mean = self.sum() / self.count as f64;
        Profile {
            min: Some(ProfileValue::Float(min)),
            max: Some(ProfileValue::Float(max)),
            // JSON has no infinity, in which a sum of the largest numbers there are can end.
            mean: mean.is_finite().then_some(mean),
            ..profile
        }
    }

    /// The sum, rounded a few times at most; what roundings lose is added at the end (Neumaier).
    fn sum(&self) -> f64 {
        let (mut sum, mut lost) = (0.0_f64, 0.0);
        for (exponent, mantissas) in self.mantissas.iter().filter(|(_, mantissas)| mantissas.0 != 0) {
            // Two to the power of the exponent less its bias and the bits of the mantissa.
            let scale = match u32::from(*exponent) {
                small @ 1..=MANTISSA_BITS => f64::from_bits(1 << (small - 1)),
                large => f64::from_bits(u64::from(large - MANTISSA_BITS) << MANTISSA_BITS),
            };
            let part = mantissas.0 as f64 * scale;
            let next = sum + part;
            lost += if sum.abs() >= part.abs() { (sum - next) + part } else { (part - next) + sum };
            sum = next;
        }
        sum + if lost.is_finite() { lost } else { 0.0 }
    }
}
