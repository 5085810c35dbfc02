//! Keys and values of tokens that an attention has read, so that later queries need not compute them again.

use burn::tensor::{Device, Int, Tensor};

/// A buffer that is too short grows to the next multiple of this many tokens.
const GROWTH: usize = 256;

/// Keys and values `[B, G, S, K]`, in buffers that are longer than what they hold.
///
/// Writing behind the last token changes the buffers in place, as long as nobody else holds them: after a clone, the
/// first of the two to write copies them, so that neither ever sees what the other writes.
#[derive(Debug, Clone)]
pub struct KvCache {
    key: Tensor<4>,
    value: Tensor<4>,
    len: usize,
}

impl KvCache {
    /// An empty cache for keys and values like these `[B, G, any, K]`, with space for `capacity` tokens.
    pub fn like(key: &Tensor<4>, value: &Tensor<4>, capacity: usize) -> Self {
        Self { key: buffer(key, capacity), value: buffer(value, capacity), len: 0 }
    }

    /// Tokens in the cache (S).
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the buffers are.
    pub fn device(&self) -> Device {
        self.key.device()
    }

    /// Adds keys and values `[B, G, L, K]`; the buffers grow if they must.
    ///
    /// # Panics
    ///
    /// If they are of another shape than the cache.
    pub fn append(&mut self, key: Tensor<4>, value: Tensor<4>) {
        let (from, to) = (self.len, self.len + key.dims()[2]);
        if to > self.key.dims()[2] {
            self.grow(to.next_multiple_of(GROWTH));
        }
        write(&mut self.key, from, key);
        write(&mut self.value, from, value);
        self.len = to;
    }

    fn grow(&mut self, capacity: usize) {
        let (mut key, mut value) = (buffer(&self.key, capacity), buffer(&self.value, capacity));
        if !self.is_empty() {
            let (old_key, old_value) = self.view();
            write(&mut key, 0, old_key);
            write(&mut value, 0, old_value);
        }
        (self.key, self.value) = (key, value);
    }

    /// All keys and values, `[B, G, S, K]`: parts of the buffers, which a matrix product reads where they are.
    ///
    /// # Panics
    ///
    /// If the cache is empty.
    pub fn view(&self) -> (Tensor<4>, Tensor<4>) {
        (self.key.clone().narrow(2, 0, self.len), self.value.clone().narrow(2, 0, self.len))
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The same tokens for other rows: row i of the result is row `rows[i]` of this.
    pub fn select(&self, rows: Tensor<1, Int>) -> Self {
        let rows_of = |buffer: &Tensor<4>| buffer.clone().select(0, rows.clone());
        Self { key: rows_of(&self.key), value: rows_of(&self.value), len: self.len }
    }
}

/// `[B, G, capacity, K]`, for what `like` is a part of.
fn buffer(like: &Tensor<4>, capacity: usize) -> Tensor<4> {
    let [batch, heads, _, d_head] = like.dims();
    Tensor::zeros([batch, heads, capacity, d_head], (&like.device(), like.dtype()))
}

/// In place, if no other tensor shares the buffer.
fn write(buffer: &mut Tensor<4>, from: usize, new: Tensor<4>) {
    let [batch, heads, len, d_head] = new.dims();
    buffer.inplace(|buffer| buffer.slice_assign([0..batch, 0..heads, from..from + len, 0..d_head], new));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that count from `from`, values that are their negatives: `[2, 1, len, 1]`.
    fn tokens(from: usize, len: usize) -> (Tensor<4>, Tensor<4>) {
        let row = Tensor::<1, Int>::arange(from as i64..(from + len) as i64, &Device::flex()).float();
        let key = row.reshape([1, 1, len, 1]).repeat_dim(0, 2) * Tensor::<4>::from([[[[1.0]]], [[[100.0]]]]);
        (key.clone(), -key)
    }

    fn cache(capacity: usize) -> KvCache {
        let (key, value) = tokens(0, 1);
        KvCache::like(&key, &value, capacity)
    }

    fn keys(cache: &KvCache) -> Vec<f32> {
        let (key, value) = cache.view();
        assert_eq!((key.clone() + value).abs().sum().into_scalar::<f32>(), 0.0);
        key.into_data().iter::<f32>().collect()
    }

    #[test]
    fn tokens_stay_in_order_while_the_buffers_grow() {
        let mut cache = cache(2);
        for (from, len) in [(1, 2), (3, 1), (4, 300)] {
            let (key, value) = tokens(from, len);
            cache.append(key, value);
        }
        let row = (1..304).map(|i| i as f32);
        assert_eq!(keys(&cache), row.clone().chain(row.map(|i| 100.0 * i)).collect::<Vec<f32>>());
    }

    #[test]
    fn clones_do_not_see_each_others_tokens() {
        let mut one = cache(8);
        let append = |cache: &mut KvCache, from| {
            let (key, value) = tokens(from, 1);
            cache.append(key, value);
        };
        append(&mut one, 1);
        let mut other = one.clone();
        append(&mut one, 2);
        append(&mut other, 3);
        assert_eq!(keys(&one), [1.0, 2.0, 100.0, 200.0]);
        assert_eq!(keys(&other), [1.0, 3.0, 100.0, 300.0]);
        one.truncate(1);
        append(&mut one, 4);
        assert_eq!(keys(&one), [1.0, 4.0, 100.0, 400.0]);
    }

    #[test]
    fn rows_are_reordered_and_repeated() {
        let mut cache = cache(4);
        let (key, value) = tokens(1, 1);
        cache.append(key, value);
        assert_eq!(keys(&cache.select(Tensor::from([1, 1, 0]))), [100.0, 100.0, 1.0]);
    }
}
