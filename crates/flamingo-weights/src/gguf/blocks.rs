//! ggml's quantised formats: blocks of small integers that share scales.
//!
//! Written from the layouts of ggml's `ggml-quants`; the arithmetic is in the order of gguf-py's `quants`, so that
//! results are equal bit for bit.

use std::fmt;

use burn::tensor::f16;

/// How a block of numbers is stored. `d` and `m` are a block's scale and minimum.
#[allow(non_camel_case_types, reason = "these are the formats' own names")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockFormat {
    /// 32 times 4 bits: `d (q - 8)`.
    Q4_0,
    /// 32 times 4 bits: `d q + m`.
    Q4_1,
    /// 32 times 5 bits: `d (q - 16)`.
    Q5_0,
    /// 32 times 5 bits: `d q + m`.
    Q5_1,
    /// 32 times 8 bits: `d q`.
    Q8_0,
    /// 256 times 4 bits, in 8 groups with a 6-bit scale and minimum each.
    Q4_K,
    /// 256 times 5 bits, in 8 groups with a 6-bit scale and minimum each.
    Q5_K,
    /// 256 times 6 bits, in 16 groups with an 8-bit scale each.
    Q6_K,
}

/// Elements of a block of the simple formats.
const SMALL: usize = 32;
/// Elements of a block of the K formats.
const LARGE: usize = 256;

impl BlockFormat {
    /// The format with a type number of ggml.
    pub(crate) fn numbered(number: u32) -> Option<Self> {
        Some(match number {
            2 => BlockFormat::Q4_0,
            3 => BlockFormat::Q4_1,
            6 => BlockFormat::Q5_0,
            7 => BlockFormat::Q5_1,
            8 => BlockFormat::Q8_0,
            12 => BlockFormat::Q4_K,
            13 => BlockFormat::Q5_K,
            14 => BlockFormat::Q6_K,
            _ => return None,
        })
    }

    /// Numbers in a block.
    pub fn n_elements(self) -> usize {
        match self {
            BlockFormat::Q4_K | BlockFormat::Q5_K | BlockFormat::Q6_K => LARGE,
            _ => SMALL,
        }
    }

    /// Bytes of a block.
    pub fn n_bytes(self) -> usize {
        match self {
            BlockFormat::Q4_0 => 18,
            BlockFormat::Q4_1 => 20,
            BlockFormat::Q5_0 => 22,
            BlockFormat::Q5_1 => 24,
            BlockFormat::Q8_0 => 34,
            BlockFormat::Q4_K => 144,
            BlockFormat::Q5_K => 176,
            BlockFormat::Q6_K => 210,
        }
    }

    /// The numbers of whole blocks.
    pub(crate) fn dequantise(self, bytes: &[u8]) -> Vec<f32> {
        let mut values = vec![0.0; bytes.len() / self.n_bytes() * self.n_elements()];
        match self {
            BlockFormat::Q4_0 => each_block(bytes, &mut values, q4_0),
            BlockFormat::Q4_1 => each_block(bytes, &mut values, q4_1),
            BlockFormat::Q5_0 => each_block(bytes, &mut values, q5_0),
            BlockFormat::Q5_1 => each_block(bytes, &mut values, q5_1),
            BlockFormat::Q8_0 => each_block(bytes, &mut values, q8_0),
            BlockFormat::Q4_K => each_block(bytes, &mut values, q4_k),
            BlockFormat::Q5_K => each_block(bytes, &mut values, q5_k),
            BlockFormat::Q6_K => each_block(bytes, &mut values, q6_k),
        }
        values
    }
}

impl fmt::Display for BlockFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

fn each_block<const BYTES: usize, const ELEMENTS: usize>(
    bytes: &[u8],
    values: &mut [f32],
    block: impl Fn(&[u8; BYTES], &mut [f32; ELEMENTS]),
) {
    for (from, to) in bytes.as_chunks().0.iter().zip(values.as_chunks_mut().0) {
        block(from, to);
    }
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// Nibble `i` of 16 bytes: the low ones first, then the high ones.
fn nibble(bytes: &[u8], i: usize) -> u8 {
    if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 }
}

/// Nibble `i` of 16 bytes, with a fifth bit from 4 bytes.
fn five_bits(low: &[u8], high: &[u8], i: usize) -> u8 {
    nibble(low, i) | (high[i / 8] >> (i % 8) & 1) << 4
}

fn q4_0(block: &[u8; 18], to: &mut [f32; SMALL]) {
    let d = half(block, 0);
    for (i, value) in to.iter_mut().enumerate() {
        *value = d * (f32::from(nibble(&block[2..], i)) - 8.0);
    }
}

fn q4_1(block: &[u8; 20], to: &mut [f32; SMALL]) {
    let (d, m) = (half(block, 0), half(block, 2));
    for (i, value) in to.iter_mut().enumerate() {
        *value = d * f32::from(nibble(&block[4..], i)) + m;
    }
}

fn q5_0(block: &[u8; 22], to: &mut [f32; SMALL]) {
    let d = half(block, 0);
    for (i, value) in to.iter_mut().enumerate() {
        *value = d * (f32::from(five_bits(&block[6..], &block[2..6], i)) - 16.0);
    }
}

fn q5_1(block: &[u8; 24], to: &mut [f32; SMALL]) {
    let (d, m) = (half(block, 0), half(block, 2));
    for (i, value) in to.iter_mut().enumerate() {
        *value = d * f32::from(five_bits(&block[8..], &block[4..8], i)) + m;
    }
}

fn q8_0(block: &[u8; 34], to: &mut [f32; SMALL]) {
    let d = half(block, 0);
    for (value, q) in to.iter_mut().zip(&block[2..]) {
        *value = d * f32::from(q.cast_signed());
    }
}

fn q4_k(block: &[u8; 144], to: &mut [f32; LARGE]) {
    let scales = Scales::new(&block[..16]);
    for (i, value) in to.iter_mut().enumerate() {
        *value = scales.apply(i / 32, four_bits(&block[16..], i));
    }
}

fn q5_k(block: &[u8; 176], to: &mut [f32; LARGE]) {
    let scales = Scales::new(&block[..16]);
    let (high, low) = block[16..].split_at(32);
    for (i, value) in to.iter_mut().enumerate() {
        // Bit g of byte l belongs to element l of group g.
        let fifth = high[i % 32] >> (i / 32) & 1;
        *value = scales.apply(i / 32, four_bits(low, i) | fifth << 4);
    }
}

/// 4-bit number `i` of a K block: 32 bytes hold 64 of them, the low nibbles first.
fn four_bits(bytes: &[u8], i: usize) -> u8 {
    let byte = bytes[i / 64 * 32 + i % 32];
    if i % 64 < 32 { byte & 15 } else { byte >> 4 }
}

/// Scales and minima of the 8 groups of a `Q4_K` or `Q5_K` block.
struct Scales {
    scales: [f32; 8],
    minima: [f32; 8],
}

impl Scales {
    /// From two half-precision factors and 12 bytes with 6 bits for each scale and minimum.
    fn new(bytes: &[u8]) -> Self {
        let (d, d_min) = (half(bytes, 0), half(bytes, 2));
        let packed = &bytes[4..16];
        let (mut scales, mut minima) = ([0.0; 8], [0.0; 8]);
        for group in 0..8 {
            let (scale, minimum) = match group {
                0..4 => (packed[group] & 63, packed[group + 4] & 63),
                _ => (
                    packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
                    packed[group + 4] >> 4 | packed[group] >> 6 << 4,
                ),
            };
            scales[group] = d * f32::from(scale);
            minima[group] = d_min * f32::from(minimum);
        }
        Self { scales, minima }
    }

    fn apply(&self, group: usize, q: u8) -> f32 {
        self.scales[group] * f32::from(q) - self.minima[group]
    }
}

fn q6_k(block: &[u8; 210], to: &mut [f32; LARGE]) {
    let d = half(block, 208);
    for (i, value) in to.iter_mut().enumerate() {
        // Two halves of 128 elements, of 64 bytes with 4 low bits and 32 bytes with 2 high bits of four elements each.
        let (part, quarter, l) = (i / 128, i % 128 / 32, i % 32);
        let low = block[64 * part + 32 * (quarter % 2) + l] >> (4 * (quarter / 2)) & 15;
        let high = block[128 + 32 * part + l] >> (2 * quarter) & 3;
        let scale = d * f32::from(block[192 + i / 16].cast_signed());
        *value = scale * (f32::from(low | high << 4) - 32.0);
    }
}
