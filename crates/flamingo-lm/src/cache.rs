//! What a decoder has read, so that the next tokens can be read without reading it again.
//!
//! A text may be read in pieces of any length; the hidden states are those of one pass over all of it. Each layer keeps
//! the keys and values of its key-value heads (Shazeer 2019, section 2.3: G heads, not H), and position tables are made
//! once for many tokens. A cache can be cloned (a prefix for many texts), truncated (undo) and given other rows
//! (beams).

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use flamingo_nn::KvCache;

use crate::block::DecoderBlock;
use crate::decoder::Decoder;
use crate::hook::LayerHook;
use crate::positions::relative::distance_encoding;
use crate::positions::{Pass, Positions, Tables};

/// Position tables that are too short grow to the next multiple of this many tokens.
const GROWTH: usize = 256;

/// Keys and values of all tokens that a [`Decoder`] has read; see the [module documentation](self).
///
/// Cloning copies nothing until one of the two reads on; what one reads is never seen in the other.
#[derive(Debug, Clone)]
pub struct DecoderCache {
    layers: Vec<LayerCache>,
    tables: Tables,
    /// How many tokens at the front of each row are padding.
    pads: Vec<usize>,
    len: usize,
}

/// What one layer keeps.
#[derive(Debug, Clone)]
pub(crate) struct LayerCache {
    pub tokens: KvCache,
    /// Distances as this layer projects them, the farthest first, `[1, H, capacity, K]`; with Transformer-XL's positions.
    distances: Option<Tensor<4>>,
}

impl Decoder {
    /// An empty cache for `batch` texts; up to `capacity` tokens of each, nothing is copied to make space.
    pub fn cache(&self, batch: usize, capacity: usize) -> DecoderCache {
        let config = self.config();
        let table = self.embedding.val();
        let like = || {
            let shape = [batch, config.kv_heads(), 0, config.d_head];
            Tensor::empty(shape, (&table.device(), table.dtype()))
        };
        let (tables, distances) = self.tables(capacity);
        let layer = |distances| LayerCache { tokens: KvCache::like(&like(), &like(), capacity), distances };
        DecoderCache {
            layers: distances.into_iter().map(layer).collect(),
            tables,
            pads: vec![0; batch],
            len: 0,
        }
    }

    /// Reads `ids` behind what `cache` holds, which then holds them too; their hidden states, as [`Decoder::hidden`].
    ///
    /// The hook sees the new tokens only.
    ///
    /// # Shapes
    ///
    /// ids `[B, L]` to `[B, L, D]`.
    ///
    /// # Panics
    ///
    /// If the cache is for another batch or decoder, there are no ids, or positions are learned and the text becomes
    /// longer than their table.
    pub fn extend(&self, ids: Tensor<2, Int>, cache: &mut DecoderCache, hook: &impl LayerHook) -> Tensor<3> {
        let [batch, len] = ids.dims();
        assert_eq!(batch, cache.batch(), "rows of ids, and rows of the cache");
        assert_eq!(self.blocks.len(), cache.layers.len(), "layers, and layers of the cache");
        assert!(len > 0, "no ids to read");
        self.reserve(cache, cache.len + len);
        let x = self.place(self.embed(ids), cache.last_position(len), |device| cache.positions(len, device));
        let pass = cache.pass(len, &x.device());
        let blocks = self.blocks.iter().zip(&mut cache.layers).enumerate();
        let x = blocks
            .fold(x, |x, (layer, (block, cache))| block.extend(hook.before_layer(layer, x), &pass, cache));
        cache.len += len;
        self.finish(x)
    }

    /// Makes the position tables long enough.
    fn reserve(&self, cache: &mut DecoderCache, len: usize) {
        if len > cache.tables.capacity {
            let (tables, distances) = self.tables(len.next_multiple_of(GROWTH));
            cache.tables = tables;
            for (layer, distances) in cache.layers.iter_mut().zip(distances) {
                layer.distances = distances;
            }
        }
    }

    /// Position tables, and those of each layer.
    fn tables(&self, capacity: usize) -> (Tables, Vec<Option<Tensor<4>>>) {
        let config = self.config();
        let device = self.embedding.val().device();
        let relative = matches!(config.positions, Positions::TransformerXl) && capacity > 0;
        let encoding = relative.then(|| distance_encoding(capacity, config.d_model, &device));
        let of_layer =
            |block: &DecoderBlock| encoding.clone().and_then(|encoding| block.attention.distances(encoding));
        let distances = self.blocks.iter().map(of_layer).collect();
        (Tables::new(config, capacity, &device), distances)
    }
}

impl DecoderCache {
    /// For rows of different lengths that end together: the first `pads[b]` tokens of row b are padding.
    ///
    /// Nothing attends to padding, and it is not counted; the hidden states at it have no meaning.
    ///
    /// # Panics
    ///
    /// If something was read already, or there is not one number for each row.
    pub fn with_padding(mut self, pads: &[usize]) -> Self {
        assert!(self.is_empty(), "padding stands in front: it cannot be set behind {} tokens", self.len);
        assert_eq!(pads.len(), self.batch(), "numbers of padding, and rows");
        self.pads = pads.to_vec();
        self
    }

    /// Tokens of each row that were read, with padding.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Rows (B).
    pub fn batch(&self) -> usize {
        self.pads.len()
    }

    /// How many tokens at the front of each row are padding.
    pub fn pads(&self) -> &[usize] {
        &self.pads
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        for layer in &mut self.layers {
            layer.tokens.truncate(self.len);
        }
    }

    /// The same texts in other rows: row i of the result is row `rows[i]` of this, and rows may be repeated or dropped.
    ///
    /// # Panics
    ///
    /// If a row is not in the cache.
    pub fn select(&self, rows: &[usize]) -> Self {
        if rows.iter().copied().eq(0..self.batch()) {
            return self.clone();
        }
        let pads = rows.iter().map(|row| self.pads[*row]).collect();
        let indices: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
        let select = |layer: &LayerCache| {
            let indices = TensorData::new(indices.clone(), [rows.len()]);
            let indices = Tensor::from_data(indices, &layer.tokens.device());
            LayerCache { tokens: layer.tokens.select(indices), distances: layer.distances.clone() }
        };
        Self {
            layers: self.layers.iter().map(select).collect(),
            tables: self.tables.clone(),
            pads,
            len: self.len,
        }
    }

    /// The rows of several caches of one decoder, as one batch of texts that end together.
    ///
    /// Shorter ones get padding in front. What the padding has moved is moved in the keys that were kept, so nothing is
    /// read again.
    ///
    /// # Panics
    ///
    /// If there are no caches, one is empty, or they are of different decoders.
    pub fn stack(caches: &[&Self]) -> Self {
        let longest = caches.iter().max_by_key(|cache| cache.len).expect("at least one cache");
        let widest = caches.iter().max_by_key(|cache| cache.tables.capacity).expect("at least one cache");
        let pads = |cache: &Self| longest.len - cache.len;
        let of_layer = |layer: usize| {
            let rows = |cache: &&Self| {
                let (key, value) = cache.layers[layer].tokens.view();
                let key = match widest.tables.shift(pads(cache)) {
                    Some(shift) => shift.rotate(key),
                    None => key,
                };
                [key, value].map(|part| part.pad([(pads(cache), 0), (0, 0)], 0.0))
            };
            let parts: Vec<[Tensor<4>; 2]> = caches.iter().map(rows).collect();
            let [key, value] =
                [0, 1].map(|part| Tensor::cat(parts.iter().map(|rows| rows[part].clone()).collect(), 0));
            let mut tokens = KvCache::like(&key, &value, longest.len + GROWTH);
            tokens.append(key, value);
            LayerCache { tokens, distances: widest.layers[layer].distances.clone() }
        };
        Self {
            layers: (0..longest.layers.len()).map(of_layer).collect(),
            tables: widest.tables.clone(),
            pads: caches.iter().flat_map(|cache| cache.pads.iter().map(|row| row + pads(cache))).collect(),
            len: longest.len,
        }
    }

    /// The pass over the next `len` tokens.
    fn pass(&self, len: usize, device: &Device) -> Pass {
        self.tables.pass(self.len, len, self.blocked(self.len + len, device))
    }

    /// `true` where a key is padding, `[B, 1, 1, S]`; `None` if there is none.
    fn blocked(&self, keys: usize, device: &Device) -> Option<Tensor<4, Bool>> {
        if self.pads.iter().all(|pads| *pads == 0) {
            return None;
        }
        let row = |pads: &usize| (0..keys).map(move |key| key < *pads).collect::<Vec<bool>>();
        let blocked: Vec<bool> = self.pads.iter().flat_map(row).collect();
        Some(Tensor::from_data(TensorData::new(blocked, [self.batch(), 1, 1, keys]), device))
    }

    /// Of each of the next `len` tokens, how many of its text stand before it: `[B, L]`.
    fn positions(&self, len: usize, device: &Device) -> Tensor<2, Int> {
        let row = |pads: &usize| {
            (self.len..self.len + len)
                .map(move |token| token.saturating_sub(*pads) as i32)
                .collect::<Vec<i32>>()
        };
        let positions: Vec<i32> = self.pads.iter().flat_map(row).collect();
        Tensor::from_data(TensorData::new(positions, [self.batch(), len]), device)
    }

    /// Tokens of the longest text after the next `len`.
    fn last_position(&self, len: usize) -> usize {
        let shortest = self.pads.iter().min().copied().unwrap_or(0);
        (self.len + len).saturating_sub(shortest)
    }
}

impl LayerCache {
    /// The distances of the last token to all tokens, itself last: `[1, H, S, K]`.
    pub fn nearest_distances(&self) -> Option<Tensor<4>> {
        let keys = self.tokens.len();
        self.distances.clone().map(|all| {
            let capacity = all.dims()[2];
            all.narrow(2, capacity - keys, keys)
        })
    }
}
