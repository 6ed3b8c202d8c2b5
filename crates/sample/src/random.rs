//! One device's stream of random numbers.
//!
//! The generator is PCG because its values are fixed for ever by its crate, and the seed is derived with FNV-1a and
//! SplitMix64, written out here, because the standard library's hashers may change. Draws are built on whole
//! numbers: no logarithm and no power, whose last bit differs between mathematical libraries.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

/// Random numbers that belong to one device and one seed.
pub(crate) struct Stream(Pcg64);

impl Stream {
    /// The stream of `archive` under `seed`: independent of every other archive's.
    pub(crate) fn new(seed: u64, archive: &str) -> Self {
        let mut mixer = fnv1a(archive.as_bytes()) ^ splitmix(&mut { seed });
        let mut wide = || (u128::from(splitmix(&mut mixer)) << 64) | u128::from(splitmix(&mut mixer));
        let (state, stream) = (wide(), wide());
        Self(Pcg64::new(state, stream))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, by multiply and shift; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included, all equally likely.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A number from `low` to `high` that prefers the small: every doubling is equally likely, so that a wide range
    /// has the long tail of real traffic.
    pub(crate) fn spread(&mut self, low: u64, high: u64) -> u64 {
        let (low, high) = (low + 1, high.max(low) + 1);
        let octaves = u64::from((high / low).ilog2());
        let floor = low << self.below(octaves + 1);
        self.between(floor, (2 * floor - 1).min(high)) - 1
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with probability `share`.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// True once in `n`.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A weighted choice: running totals, searched by bisection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weighted(Vec<u64>);

impl Weighted {
    /// Chances in proportion to `weights`, which count in thousandths and at least one: nothing is impossible.
    pub(crate) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut total = 0;
        let running = weights.into_iter().map(|weight| {
            total += ((weight * 1000.0) as u64).max(1);
            total
        });
        Self(running.collect())
    }

    /// Zipf's law over `n` choices: the k-th is taken k times less often than the first.
    pub(crate) fn zipf(n: usize) -> Self {
        Self::new((1..=n).map(|rank| 1000.0 / rank as f64))
    }

    /// The sum of all weights, in thousandths.
    pub(crate) fn total(&self) -> u64 {
        self.0.last().copied().unwrap_or(0)
    }

    /// The index of a choice.
    pub(crate) fn pick(&self, stream: &mut Stream) -> usize {
        let ticket = stream.below(self.total());
        self.0.partition_point(|running| *running <= ticket)
    }
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The next number of SplitMix64, whose state is advanced.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(splitmix(&mut 0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn draws_stay_inside_their_bounds() {
        let mut stream = Stream::new(1, "a");
        for _ in 0..10_000 {
            assert!(stream.below(7) < 7);
            assert!((3..=9).contains(&stream.between(3, 9)));
            assert!((5..=1000).contains(&stream.spread(5, 1000)));
            assert!((0..=3).contains(&stream.spread(0, 3)));
            assert_eq!(stream.spread(4, 4), 4);
        }
        assert_eq!(stream.below(0), 0);
    }

    #[test]
    fn another_archive_or_seed_is_another_stream() {
        let first = |seed, archive| Stream::new(seed, archive).bits();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
    }

    #[test]
    fn weights_are_kept() {
        let table = Weighted::new([1.0, 0.01, 3.0]);
        let mut stream = Stream::new(9, "w");
        let mut seen = [0_u32; 3];
        (0..40_000).for_each(|_| seen[table.pick(&mut stream)] += 1);
        assert!(seen[1] < 200, "{seen:?}");
        assert!((9_000..11_000).contains(&seen[0]), "{seen:?}");
    }
}
