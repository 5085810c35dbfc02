//! Which positions of a batch are text, where its rows have different lengths.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// The padding of a batch `[B, L]`: nothing attends to padded positions, and they are not counted.
///
/// What the decoder computes *at* padded positions has no meaning.
#[derive(Debug, Clone)]
pub struct Padding {
    text: Tensor<2, Bool>,
}

impl Padding {
    /// From `text` `[B, L]`, `true` where there is text.
    pub fn new(text: Tensor<2, Bool>) -> Self {
        Self { text }
    }

    /// Rows of `lengths` tokens that end together at `len`, as generation needs them.
    ///
    /// # Panics
    ///
    /// If a row is longer than `len`.
    pub fn left(lengths: &[usize], len: usize, device: &Device) -> Self {
        let mut text = Vec::with_capacity(lengths.len() * len);
        for &row in lengths {
            assert!(row <= len, "a row of {row} tokens in a batch of length {len}");
            text.extend((0..len).map(|position| position >= len - row));
        }
        Self::new(Tensor::from_data(TensorData::new(text, [lengths.len(), len]), device))
    }

    /// `true` where a key must not be seen, `[B, 1, 1, L]`.
    pub(crate) fn blocked(&self) -> Tensor<4, Bool> {
        let [batch, len] = self.text.dims();
        self.text.clone().bool_not().reshape([batch, 1, 1, len])
    }

    /// How many tokens of text stand before each position, `[B, L]`; 0 before the text begins.
    pub(crate) fn positions(&self) -> Tensor<2, Int> {
        (self.text.clone().int().cumsum(1) - 1).clamp_min(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_padding_moves_positions() {
        let padding = Padding::left(&[2, 3], 3, &Device::flex());
        let positions: Vec<i64> = padding.positions().into_data().iter::<i64>().collect();
        assert_eq!(positions, [0, 0, 1, 0, 1, 2]);
        let blocked: Vec<bool> = padding.blocked().into_data().iter::<bool>().collect();
        assert_eq!(blocked, [true, false, false, false, false, false]);
    }
}
