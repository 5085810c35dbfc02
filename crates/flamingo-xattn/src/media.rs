//! Keys and values of visual tokens: computed once for each image, in each gated block.

use burn::tensor::{Int, Tensor, TensorData};

/// A block's keys and values of all visual tokens of a batch, each image's by themselves.
#[derive(Debug, Clone)]
pub struct MediaKv {
    /// `[B, M, H, R, K]`.
    pub(crate) key: Tensor<5>,
    /// `[B, M, H, R, K]`.
    pub(crate) value: Tensor<5>,
}

impl MediaKv {
    /// Rows, media of each, tokens of each medium: `[B, M, R]`.
    ///
    /// One row of media may serve many rows of text, if all see the same images: nothing is repeated then.
    pub fn dims(&self) -> [usize; 3] {
        let [batch, media, _, latents, _] = self.key.dims();
        [batch, media, latents]
    }

    /// Numbers in all keys and values.
    pub fn size(&self) -> usize {
        self.key.shape().num_elements() + self.value.shape().num_elements()
    }

    /// The media of several beside each other, in order: more media for each row.
    ///
    /// # Panics
    ///
    /// If there are none, or they have different numbers of rows or tokens of different shapes.
    pub fn beside<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::cat(parts, 1)
    }

    /// The rows of several, in order, each with as many media.
    ///
    /// # Panics
    ///
    /// If there are none, or they have different numbers of media or tokens of different shapes.
    pub fn stack<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::cat(parts, 0)
    }

    fn cat<'a>(parts: impl IntoIterator<Item = &'a Self>, dim: usize) -> Self {
        let (keys, values): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|part| (part.key.clone(), part.value.clone())).unzip();
        Self { key: Tensor::cat(keys, dim), value: Tensor::cat(values, dim) }
    }

    /// A row with one medium for each of `picks`, (row, medium) from 0.
    ///
    /// # Panics
    ///
    /// If a medium is not there.
    pub fn pick(&self, picks: &[(usize, usize)]) -> Self {
        let [_, media, _] = self.dims();
        let flat: Vec<usize> = picks
            .iter()
            .map(|(row, medium)| {
                assert!(*medium < media, "medium {medium} of {media}");
                row * media + medium
            })
            .collect();
        let flat = indices(&flat, &self.key);
        let pick = |x: &Tensor<5>| each(x).select(0, flat.clone()).unsqueeze_dim::<5>(1);
        Self { key: pick(&self.key), value: pick(&self.value) }
    }

    /// Keys and values of each medium: `[B*M, H, R, K]`, without a copy.
    pub(crate) fn each(&self) -> (Tensor<4>, Tensor<4>) {
        (each(&self.key), each(&self.value))
    }

    /// Keys and values of each row: `[B, H, M*R, K]`, without a copy if there is one medium.
    pub(crate) fn together(&self) -> (Tensor<4>, Tensor<4>) {
        (together(&self.key), together(&self.value))
    }
}

fn each(x: &Tensor<5>) -> Tensor<4> {
    let [batch, media, heads, latents, d_head] = x.dims();
    x.clone().reshape([batch * media, heads, latents, d_head])
}

fn together(x: &Tensor<5>) -> Tensor<4> {
    let [batch, media, heads, latents, d_head] = x.dims();
    let by_head = if media == 1 { x.clone() } else { x.clone().swap_dims(1, 2) };
    by_head.reshape([batch, heads, media * latents, d_head])
}

fn indices(values: &[usize], like: &Tensor<5>) -> Tensor<1, Int> {
    let values: Vec<i32> = values.iter().map(|value| *value as i32).collect();
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), &like.device())
}
