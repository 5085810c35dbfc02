//! Independent random streams from one run seed.
//!
//! Every random decision of a run draws from a generator seeded by `derive(seed, [what, which, …])`. The order of
//! a run's data is therefore a pure function of the seed: it does not depend on threads, on prefetching or on
//! whether the run was resumed.

/// Mixes `path` into `seed` (SplitMix64 finaliser after each word).
///
/// ```
/// use flamingo_core::seed::derive;
///
/// assert_eq!(derive(1, [2, 3]), derive(1, [2, 3]));
/// assert_ne!(derive(1, [2, 3]), derive(1, [3, 2]));
/// ```
pub fn derive(seed: u64, path: impl IntoIterator<Item = u64>) -> u64 {
    path.into_iter().fold(mix(seed), |state, word| mix(state ^ word.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// A stable 64-bit number for a name (FNV-1a), to use as a word of [`derive()`]'s path.
pub fn word(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
