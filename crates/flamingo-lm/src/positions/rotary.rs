//! Rotary positions: queries and keys are turned by angles that grow with the position.
//!
//! Su et al. 2021, "RoFormer". Dimension i of the first half of the turned part is paired with dimension i of the
//! second ("half-split", as LLaMA and GPT-NeoX are published by `transformers`; GGUF files pair neighbours instead, and
//! the key map of such a file sorts their rows). Burn's `RotaryEncoding` pairs neighbours and turns whole heads.

use burn::tensor::{Device, Tensor, TensorData};

/// The angles of a pass's positions.
#[derive(Debug, Clone)]
pub struct Rotations {
    /// `[L, R / 2]`, for R dimensions that are turned.
    cos: Tensor<2>,
    /// `[L, R / 2]`.
    sin: Tensor<2>,
}

impl Rotations {
    /// For positions `0..len` and `width` dimensions of each head, with wavelengths up to `2 pi theta`.
    pub fn new(len: usize, width: usize, theta: f64, device: &Device) -> Self {
        let half = width / 2;
        // In f32, like the programs that trained the models: at far positions the rounding is part of the model.
        let frequency = |i: usize| 1.0 / (theta as f32).powf(2.0 * i as f32 / width as f32);
        let angles: Vec<f32> =
            (0..len).flat_map(|position| (0..half).map(move |i| position as f32 * frequency(i))).collect();
        let table = |f: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().copied().map(f).collect();
            Tensor::from_data(TensorData::new(values, [len, half]), device)
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
        let cos = || self.cos.clone().unsqueeze::<4>();
        let sin = || self.sin.clone().unsqueeze::<4>();
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
        let rotations = Rotations::new(2, 2, 10_000.0, &device);
        let x = Tensor::<4>::from_floats([[[[1.0, 0.0, 5.0], [1.0, 0.0, 5.0]]]], &device);
        let turned: Vec<f32> = rotations.rotate(x).into_data().iter::<f32>().collect();
        assert_eq!(turned, [1.0, 0.0, 5.0, 1f32.cos(), 1f32.sin(), 5.0]);
    }
}
