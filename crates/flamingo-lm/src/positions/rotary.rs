//! Rotary positions: queries and keys are turned by angles that grow with the position.
//!
//! Su et al. 2021, "RoFormer". Dimension i of the first half of the turned part is paired with dimension i of the
//! second ("half-split", as LLaMA and GPT-NeoX are published by `transformers`; GGUF files pair neighbours instead, and
//! the key map of such a file sorts their rows). Burn's `RotaryEncoding` pairs neighbours and turns whole heads.

use std::f32::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};
use flamingo_core::precision::like;
use serde::{Deserialize, Serialize};

/// How the wavelengths of a model are stretched, so that it reads longer texts than it was first trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scaling {
    /// All by one factor (Chen et al. 2023).
    Linear {
        /// The factor.
        factor: f64,
    },
    /// The long ones by a factor, the short ones not, those between by less (Llama 3.1).
    Llama3 {
        /// The factor of the long ones.
        factor: f64,
        /// Waves that fit less often than this into `original_len` are long.
        low_freq_factor: f64,
        /// Waves that fit more often than this into `original_len` are short.
        high_freq_factor: f64,
        /// Longest text of the first training, in tokens.
        original_len: usize,
    },
    /// Each by a factor of its own, as GGUF files have Llama 3.1's.
    Each {
        /// Of the `R / 2` wavelengths, the shortest first.
        factors: Vec<f64>,
    },
}

impl Scaling {
    /// The factor of wave `i`, which turns by `frequency` from one position to the next.
    fn factor(&self, i: usize, frequency: f32) -> f32 {
        match self {
            Scaling::Linear { factor } => *factor as f32,
            Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_len } => {
                let [low, high] = [*low_freq_factor as f32, *high_freq_factor as f32];
                let times = *original_len as f32 * frequency / TAU;
                let short = ((times - low) / (high - low)).clamp(0.0, 1.0);
                1.0 / ((1.0 - short) / *factor as f32 + short)
            }
            Scaling::Each { factors } => factors[i] as f32,
        }
    }

    /// What is wrong with it for `waves` wavelengths, if anything.
    pub(crate) fn wrong(&self, waves: usize) -> Option<String> {
        let stretches = |factor: &f64| *factor > 0.0 && factor.is_finite();
        let fits = match self {
            Scaling::Linear { factor } => stretches(factor),
            Scaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original_len } => {
                stretches(factor) && *low > 0.0 && high > low && high.is_finite() && *original_len > 0
            }
            Scaling::Each { factors } => factors.len() == waves && factors.iter().all(stretches),
        };
        (!fits).then(|| format!("the rotary scaling {self:?} cannot be that of {waves} wavelengths"))
    }
}

/// Angles between neighbouring positions, of each pair of `width` dimensions that are turned.
///
/// # Panics
///
/// If `scaling` has factors of its own and not one for each pair.
pub fn frequencies(width: usize, theta: f64, scaling: Option<&Scaling>) -> Vec<f32> {
    // In f32, like the programs that trained the models: at far positions the rounding is part of the model.
    let plain = |i: usize| 1.0 / (theta as f32).powf(2.0 * i as f32 / width as f32);
    let scaled = |i| scaling.map_or(plain(i), |scaling| plain(i) / scaling.factor(i, plain(i)));
    (0..width / 2).map(scaled).collect()
}

/// The angles of a pass's positions.
#[derive(Debug, Clone)]
pub struct Rotations {
    /// `[L, R / 2]`, for R dimensions that are turned.
    cos: Tensor<2>,
    /// `[L, R / 2]`.
    sin: Tensor<2>,
}

impl Rotations {
    /// For positions `0..len` and these [`frequencies`].
    pub fn new(len: usize, frequencies: &[f32], device: &Device) -> Self {
        let angles = |position| frequencies.iter().map(move |frequency| position as f32 * frequency);
        let angles: Vec<f32> = (0..len).flat_map(angles).collect();
        let table = |f: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().copied().map(f).collect();
            Tensor::from_data(TensorData::new(values, [len, frequencies.len()]), device)
        };
        Self { cos: table(f32::cos), sin: table(f32::sin) }
    }

    /// Those of `len` positions from `from` on.
    pub fn narrow(&self, from: usize, len: usize) -> Self {
        let part = |table: &Tensor<2>| table.clone().narrow(0, from, len);
        Self { cos: part(&self.cos), sin: part(&self.sin) }
    }

    /// Turns the first dimensions of queries or keys `[B, H, L, K]`; all by the same angles if there is one position.
    ///
    /// # Panics
    ///
    /// If the text is not as long as these rotations, or K is less than the width that is turned.
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, heads, len, d_head] = x.dims();
        let [_, half] = self.cos.dims();
        let part = |from: usize, to: usize| x.clone().slice([0..batch, 0..heads, 0..len, from..to]);
        let (first, second) = (part(0, half), part(half, 2 * half)); // [B, H, L, R / 2]
        let cos = || like(self.cos.clone(), &x).unsqueeze::<4>();
        let sin = || like(self.sin.clone(), &x).unsqueeze::<4>();
        let mut turned = vec![first.clone() * cos() - second.clone() * sin(), second * cos() + first * sin()];
        if 2 * half < d_head {
            turned.push(part(2 * half, d_head));
        }
        Tensor::cat(turned, 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_paired_and_the_rest_stays() {
        let device = Device::flex();
        let rotations = Rotations::new(2, &frequencies(2, 10_000.0, None), &device);
        let x = Tensor::<4>::from_floats([[[[1.0, 0.0, 5.0], [1.0, 0.0, 5.0]]]], &device);
        let turned: Vec<f32> = rotations.rotate(x).into_data().iter::<f32>().collect();
        assert_eq!(turned, [1.0, 0.0, 5.0, 1f32.cos(), 1f32.sin(), 5.0]);
    }

    #[test]
    fn long_waves_are_stretched_and_short_ones_are_not() {
        let scaling =
            Scaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_len: 8192 };
        let [plain, scaled] = [None, Some(&scaling)].map(|scaling| frequencies(128, 500_000.0, scaling));
        let factors: Vec<f32> = plain.iter().zip(&scaled).map(|(plain, scaled)| plain / scaled).collect();
        assert_eq!((factors[0], factors[63]), (1.0, 8.0));
        assert!(
            factors.is_sorted() && factors.iter().any(|factor| (2.0..7.0).contains(factor)),
            "{factors:?}"
        );
        let each = Scaling::Each { factors: factors.into_iter().map(f64::from).collect() };
        assert_eq!(each.wrong(64), None);
        assert!(each.wrong(63).is_some());
        let again = frequencies(128, 500_000.0, Some(&each));
        assert!(again.iter().zip(&scaled).all(|(a, b)| (a - b).abs() <= 1e-7 * b), "{again:?}");
    }
}
