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

    /// Adds media behind the last ones of each row.
    ///
    /// # Panics
    ///
    /// If `later` has another number of rows, or tokens of another shape.
    pub fn append(&mut self, later: &Self) {
        let join = |a: &Tensor<5>, b: &Tensor<5>| Tensor::cat(vec![a.clone(), b.clone()], 1);
        *self = Self { key: join(&self.key, &later.key), value: join(&self.value, &later.value) };
    }

    /// Keeps the first `count` media of each row.
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    pub fn truncate(&mut self, count: usize) {
        let count = count.min(self.dims()[1]);
        let first = |x: &Tensor<5>| x.clone().narrow(1, 0, count);
        *self = Self { key: first(&self.key), value: first(&self.value) };
    }

    /// The media of other rows: row i of the result is row `rows[i]` of this.
    ///
    /// # Panics
    ///
    /// If a row is not there.
    pub fn select(&self, rows: &[usize]) -> Self {
        let [batch, ..] = self.dims();
        if rows.iter().copied().eq(0..batch) {
            return self.clone();
        }
        let rows = indices(rows, &self.key);
        let select = |x: &Tensor<5>| x.clone().select(0, rows.clone());
        Self { key: select(&self.key), value: select(&self.value) }
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
