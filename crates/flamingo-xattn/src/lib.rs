//! GATED XATTN-DENSE: how a frozen language model gets to see (Flamingo paper, section 2.2 and figure 4).
//!
//! Before a frozen block, text attends to the visual tokens of its own image, and passes a feed-forward network; both
//! are added through a tanh gate that starts at 0, so that the new model begins as exactly the old one:
//!
//! ```text
//! y = y + tanh(attention_gate) * attention(norm(y), visual tokens)
//! y = y + tanh(feed_forward_gate) * feed_forward(norm(y))
//! ```
//!
//! [`Gate::None`] leaves the gates out (the paper's ablation): both branches count in full from the first update on, and the
//! new model does not begin as the old one.
//!
//! Which image a text position sees is phi, a [`MediaLayout`](flamingo_core::MediaLayout); a position without an image gets exactly zero from the
//! attention (the feed-forward branch still acts on it). The visual tokens are not normalised again here.
//!
//! Legend: B batch, L text tokens, M media, R tokens per media, D text width, E visual width, N groups of T text tokens.

pub mod media;
pub mod sight;

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};
use flamingo_core::MediaAttention;
use flamingo_nn::{
    Act, Attention, AttentionConfig, FeedForward, FeedForwardConfig, Norm, NormConfig, linear, merge_heads,
    mix, split_heads,
};
use serde::{Deserialize, Serialize};

pub use media::MediaKv;
pub use sight::{Groups, Sight};

/// Before which language-model layers the gated blocks stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Layers 0, n, 2n… (the paper and IDEFICS).
    First,
    /// Layers n-1, 2n-1… (OpenFlamingo).
    Last,
}

impl Placement {
    /// Whether a gated block stands before `layer` if there is one every `every` layers.
    pub fn contains(self, layer: usize, every: usize) -> bool {
        match self {
            Placement::First => layer.is_multiple_of(every),
            Placement::Last => (layer + 1).is_multiple_of(every),
        }
    }
}

/// What a tanh gate multiplies, if there are gates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// One number for all channels (the paper, and all published models).
    #[default]
    Scalar,
    /// A number for each channel (an option of IDEFICS).
    Vector,
    /// No gates: the branches are added as they are, from the start (table 3 of the paper, "Tanh gating").
    None,
}

impl Gate {
    /// Numbers in a gate for text of width `d_model`.
    fn width(self, d_model: usize) -> Option<usize> {
        match self {
            Gate::Scalar => Some(1),
            Gate::Vector => Some(d_model),
            Gate::None => None,
        }
    }
}

/// The gated blocks' sizes and where they stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatedXattnConfig {
    /// Width of the text (D).
    pub d_model: usize,
    /// Width of the visual tokens (E).
    pub d_media: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of a head; OpenFlamingo has 8 heads of 64 whatever the language model.
    pub d_head: usize,
    /// Hidden width of the feed-forward network.
    pub d_ff: usize,
    /// One block every so many language-model layers.
    pub every: usize,
    /// Where the first one stands.
    pub placement: Placement,
    /// Which images a position sees.
    pub attention: MediaAttention,
    /// Squared ReLU in the paper, GELU in OpenFlamingo.
    pub act: Act,
    /// Norm before attention and feed-forward network.
    pub norm: NormConfig,
    /// Norm of queries and keys, each head by itself (IDEFICS).
    #[serde(default)]
    pub head_norm: Option<NormConfig>,
    /// Whether the feed-forward network has a gate of its own (SwiGLU in IDEFICS).
    #[serde(default)]
    pub gated: bool,
    /// What the tanh gates multiply, or whether there are none.
    #[serde(default)]
    pub gate: Gate,
    /// The attention gates before their tanh, at first. 0 in the paper and in OpenFlamingo; IDEFICS has it as
    /// `alpha_initializer`. Anything else shows pictures to the language model from the first update on, and changes what
    /// it says of text behind an image until it has learned.
    #[serde(default)]
    pub attention_gate_init: f64,
}

impl GatedXattnConfig {
    /// The paper's block for a language model of width `d_model` with `n_heads` heads.
    pub fn paper(d_model: usize, n_heads: usize, d_media: usize, every: usize) -> Self {
        Self {
            d_model,
            d_media,
            n_heads,
            d_head: d_model / n_heads,
            d_ff: 4 * d_model,
            every,
            placement: Placement::First,
            attention: MediaAttention::Preceding,
            act: Act::SquaredRelu,
            norm: NormConfig::Rms { epsilon: 1e-6 },
            head_norm: None,
            gated: false,
            gate: Gate::Scalar,
            attention_gate_init: 0.0,
        }
    }

    /// The layers, of `n_layers`, that have a gated block before them.
    pub fn layers(&self, n_layers: usize) -> Vec<usize> {
        (0..n_layers).filter(|layer| self.placement.contains(*layer, self.every)).collect()
    }

    /// Creates one block on `device`.
    pub fn init(&self, device: &Device) -> GatedXattnBlock {
        let gate_width = self.gate.width(self.d_model);
        let gate = |value| gate_width.map(|width| Initializer::Constant { value }.init([width], device));
        let attention = AttentionConfig {
            d_query: self.d_model,
            d_context: self.d_media,
            n_heads: self.n_heads,
            d_head: self.d_head,
            bias: false,
        };
        let feed_forward =
            FeedForwardConfig { d_model: self.d_model, d_hidden: self.d_ff, act: self.act, bias: false };
        GatedXattnBlock {
            attention_gate: gate(self.attention_gate_init),
            attention_norm: self.norm.init(self.d_model, device),
            attention: match &self.head_norm {
                Some(norm) => attention.init_normed(norm, device),
                None => attention.init(device),
            },
            feed_forward_gate: gate(0.0),
            feed_forward_norm: self.norm.init(self.d_model, device),
            feed_forward: match self.gated {
                true => feed_forward.init_gated(device),
                false => feed_forward.init(device),
            },
        }
    }
}

/// One gated block; see the [crate documentation](crate).
#[derive(Module, Debug)]
pub struct GatedXattnBlock {
    /// `[1]` or `[D]`; the attention is multiplied by its tanh. None with [`Gate::None`].
    pub attention_gate: Option<Param<Tensor<1>>>,
    /// Before the attention.
    pub attention_norm: Norm,
    /// From text to visual tokens.
    pub attention: Attention,
    /// `[1]` or `[D]`; the feed-forward network is multiplied by its tanh. None with [`Gate::None`].
    pub feed_forward_gate: Option<Param<Tensor<1>>>,
    /// Before the feed-forward network.
    pub feed_forward_norm: Norm,
    /// On each text position.
    pub feed_forward: FeedForward,
}

impl GatedXattnBlock {
    /// # Shapes
    ///
    /// text `[B, L, D]`, media of B rows or one from [`GatedXattnBlock::media_kv`], a sight for that text and those
    /// media, to `[B, L, D]`.
    pub fn forward(&self, text: Tensor<3>, media: &MediaKv, sight: &Sight) -> Tensor<3> {
        if let Sight::Nothing = sight {
            return self.feed(text);
        }
        let attended = self.attend(text.clone(), media, sight);
        self.feed(text + gated(attended, self.attention_gate.as_ref()))
    }

    /// The gated feed-forward network alone: what the block does to text that sees nothing. `[B, L, D]` to `[B, L, D]`.
    pub fn feed(&self, text: Tensor<3>) -> Tensor<3> {
        let h = self.feed_forward_norm.forward(text.clone());
        text + gated(self.feed_forward.forward(h), self.feed_forward_gate.as_ref())
    }

    /// The cross-attention alone, before its gate: `[B, L, D]`.
    pub fn attend(&self, text: Tensor<3>, media: &MediaKv, sight: &Sight) -> Tensor<3> {
        let [batch, len, width] = text.dims();
        let [rows, ..] = media.dims();
        // Media that all rows share are one row's: then so is the text.
        let row = [rows, batch * len / rows, width];
        let queries = || self.attention_norm.forward(text.clone().reshape(row));
        let attended = match sight {
            Sight::Nothing => return text.zeros_like(),
            Sight::Everything => {
                let (key, value) = media.together();
                self.attention.attend(queries(), key, value, None)
            }
            Sight::Masked(blocked) => {
                let (key, value) = media.together();
                let [_, _, _, keys] = blocked.dims();
                let blocked =
                    blocked.clone().expand([batch, 1, len, keys]).reshape([row[0], 1, row[1], keys]);
                self.attention.attend(queries(), key, value, Some(blocked))
            }
            Sight::Grouped(groups) => self.attend_in_groups(queries(), media, groups),
        };
        attended.reshape([batch, len, width])
    }

    /// `[B, L, D]` to the same. What is put together are queries, which are no wider than the text, and often narrower.
    fn attend_in_groups(&self, text: Tensor<3>, media: &MediaKv, groups: &Groups) -> Tensor<3> {
        let [batch, len, width] = text.dims();
        let query = merge_heads(self.attention.queries(text)); // [B, L, H*K]
        let [_, _, inner] = query.dims();
        let places = query.reshape([batch * len, inner]).select(0, groups.positions.clone()); // [N*T, H*K]
        let (key, value) = media.each();
        let (key, value) = match &groups.media {
            Some(media) => (key.select(0, media.clone()), value.select(0, media.clone())),
            None => (key, value),
        }; // [N, H, R, K]
        let [n_groups, n_heads, ..] = key.dims();
        let query = split_heads(places.reshape([n_groups, groups.size, inner]), n_heads); // [N, H, T, K]
        let mixed = merge_heads(mix(query, key, value, None)).reshape([n_groups * groups.size, inner]);
        // One place more, which is zero, for positions that see nothing.
        let nothing = Tensor::zeros([1, inner], (&mixed.device(), mixed.dtype()));
        let mixed = Tensor::cat(vec![mixed, nothing], 0).select(0, groups.places.clone());
        linear(&self.attention.output, mixed).reshape([batch, len, width])
    }

    /// This block's keys and values of visual tokens `[B, M, R, E]`: computed once per prompt, used at every step.
    ///
    /// # Panics
    ///
    /// If `E` is not the block's `d_media`.
    pub fn media_kv(&self, visual: Tensor<4>) -> MediaKv {
        let [batch, media, latents, width] = visual.dims();
        let [d_media, _] = self.attention.key.weight.dims();
        assert_shape!(visual, [batch, media, latents, d_media]);
        let (key, value) = self.attention.keys_values(visual.reshape([batch * media, latents, width]));
        let apart = |x: Tensor<4>| {
            let [_, heads, _, d_head] = x.dims();
            x.reshape([batch, media, heads, latents, d_head])
        };
        MediaKv { key: apart(key), value: apart(value) }
    }

    /// `tanh` of both gates: attention, feed-forward; of a gate for each channel, the mean of the absolute values. None
    /// with [`Gate::None`].
    pub fn gates(&self) -> Option<[f32; 2]> {
        let number = |gate: Tensor<1>| if gate.dims() == [1] { gate } else { gate.abs().mean() };
        let opening = |gate: &Param<Tensor<1>>| number(gate.val().tanh()).into_scalar();
        Some([self.attention_gate.as_ref().map(opening)?, self.feed_forward_gate.as_ref().map(opening)?])
    }
}

/// `[B, L, D]` through its gate.
fn gated(branch: Tensor<3>, gate: Option<&Param<Tensor<1>>>) -> Tensor<3> {
    match gate {
        Some(gate) => {
            let [width] = gate.dims();
            branch * gate.val().tanh().reshape([1, 1, width])
        }
        None => branch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Int};
    use flamingo_core::MediaLayout;
    use flamingo_nn::count_parameters;
    use flamingo_testkit::assert_close;

    fn config() -> GatedXattnConfig {
        GatedXattnConfig::paper(8, 2, 6, 1)
    }

    /// Gates away from zero, where nothing is hidden.
    fn open(block: GatedXattnBlock) -> GatedXattnBlock {
        let half = |gate: Option<Param<Tensor<1>>>| gate.map(|gate| gate.map(|gate| gate + 0.5));
        GatedXattnBlock {
            attention_gate: half(block.attention_gate),
            feed_forward_gate: half(block.feed_forward_gate),
            ..block
        }
    }

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
    }

    fn rows_of(x: Tensor<3>) -> Vec<f32> {
        x.abs().sum_dim(2).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn closed_gates_change_nothing() {
        let device = Device::flex();
        let block = config().init(&device);
        let (text, visual) = (random([2, 3, 8], &device), random([2, 2, 4, 6], &device));
        let layout = MediaLayout::new(&[0, 1, 2, 1, 1, 1], 2, 3, &device);
        let media = block.media_kv(visual);
        let sight = Sight::new(&layout, MediaAttention::Preceding, media.dims());
        let out = block.forward(text.clone(), &media, &sight);
        assert_eq!(out.into_data(), text.into_data());
    }

    #[test]
    fn without_gates_both_branches_count_in_full_from_the_start() {
        let device = Device::flex().autodiff();
        let with = config().init(&device);
        let without = GatedXattnConfig { gate: Gate::None, ..config() }.init(&device);
        assert_eq!(count_parameters(&with), count_parameters(&without) + 2);
        assert_eq!(without.gates(), None);

        let (text, visual) = (random([2, 3, 8], &device), random([2, 2, 4, 6], &device));
        let layout = MediaLayout::new(&[0, 1, 2, 1, 1, 1], 2, 3, &device);
        let media = without.media_kv(visual);
        let sight = Sight::new(&layout, MediaAttention::Preceding, media.dims());
        let seen = text.clone() + without.attend(text.clone(), &media, &sight);
        let fed = without.feed_forward.forward(without.feed_forward_norm.forward(seen.clone()));
        let out = without.forward(text.clone(), &media, &sight);
        assert_close(out.clone(), seen + fed, 1e-6);
        // Gates as wide open as gates can be are the same block.
        let wide = |gate: Option<Param<Tensor<1>>>| gate.map(|gate| gate.map(|gate| gate + 20.0));
        let open = GatedXattnBlock {
            attention_gate: wide(with.attention_gate),
            feed_forward_gate: wide(with.feed_forward_gate),
            ..without.clone()
        };
        assert_close(open.forward(text, &media, &sight), out.clone(), 1e-6);

        let gradients = out.powi_scalar(2).sum().backward();
        for linear in [&without.attention.query, &without.attention.output, &without.feed_forward.down] {
            let gradient: f32 = linear.weight.val().grad(&gradients).unwrap().abs().sum().into_scalar();
            assert!(gradient > 0.0);
        }
    }

    #[test]
    fn a_changed_image_moves_only_its_own_segment() {
        let device = Device::flex();
        let block = open(config().init(&device));
        let text = random([1, 6, 8], &device);
        let visual = random([1, 3, 4, 6], &device);
        let other = Tensor::cat(
            vec![
                visual.clone().slice([0..1, 0..1]),
                random([1, 1, 4, 6], &device),
                visual.clone().slice([0..1, 2..3]),
            ],
            1,
        );
        let layout = MediaLayout::new(&[0, 1, 1, 2, 2, 3], 1, 6, &device);
        let difference = |attention| {
            let sight = Sight::new(&layout, attention, [1, 3, 4]);
            let run =
                |visual: &Tensor<4>| block.attend(text.clone(), &block.media_kv(visual.clone()), &sight);
            rows_of(run(&visual) - run(&other)).iter().map(|row| *row > 1e-6).collect::<Vec<bool>>()
        };
        assert_eq!(difference(MediaAttention::Preceding), [false, false, false, true, true, false]);
        assert_eq!(difference(MediaAttention::AllPrevious), [false, false, false, true, true, true]);
    }

    #[test]
    fn text_before_the_first_image_sees_nothing_in_either_mode() {
        let device = Device::flex();
        let block = open(config().init(&device));
        let visual = random([1, 1, 4, 6], &device);
        let layout = MediaLayout::new(&[0, 0, 1], 1, 3, &device);
        for attention in [MediaAttention::Preceding, MediaAttention::AllPrevious] {
            let sight = Sight::new(&layout, attention, [1, 1, 4]);
            let seen =
                rows_of(block.attend(random([1, 3, 8], &device), &block.media_kv(visual.clone()), &sight));
            assert_eq!(seen[..2], [0.0, 0.0]);
            assert!(seen[2] > 0.0);
        }
    }

    /// phi of `batch` rows: runs of random lengths, some positions without an image, some images nobody sees.
    fn random_phi(batch: usize, len: usize, media: u32, draw: &mut impl FnMut() -> u32) -> Vec<u32> {
        let mut phi = Vec::new();
        for _ in 0..batch {
            let mut image = draw() % 2;
            for _ in 0..len {
                phi.push(if draw().is_multiple_of(7) { 0 } else { image.min(media) });
                image += u32::from(draw().is_multiple_of(5)) * (1 + draw() % 2);
            }
        }
        phi
    }

    #[test]
    fn groups_and_masks_agree_with_their_gradients() {
        let device = Device::flex().autodiff();
        device.seed(5);
        let mut state = 1u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        let block = open(GatedXattnConfig { head_norm: Some(config().norm), ..config() }.init(&device));
        for case in 0..24 {
            let (batch, media) = (1 + case % 3, 1 + case % 5);
            // Also rows that share one row's media, and runs that are longer than a group.
            let (rows, len) = (if case % 2 == 0 { batch } else { 1 }, if case % 4 == 3 { 150 } else { 9 });
            let phi = random_phi(batch, len, media as u32, &mut draw);
            let layout = MediaLayout::new(&phi, batch, len, &device);
            let dims = [rows, media, 4];
            let text = random([batch, len, 8], &device);
            let visual = random([rows, media, 4, 6], &device);
            let run = |sight: Sight| {
                let (text, visual) = (text.clone().require_grad(), visual.clone().require_grad());
                let attended = block.attend(text.clone(), &block.media_kv(visual.clone()), &sight);
                // What nobody sees has a gradient all the same: that of the second sum.
                let inputs = text.clone().sum() + visual.clone().sum();
                let gradients = (attended.clone().powi_scalar(3).sum() + inputs).backward();
                let gradients = (text.grad(&gradients).unwrap(), visual.grad(&gradients).unwrap());
                (attended.inner(), gradients)
            };
            let (grouped, by_group) = run(Sight::grouped(&layout, dims));
            let (masked, by_mask) = run(Sight::masked(&layout, MediaAttention::Preceding, dims));
            assert_close(grouped.clone(), masked, 1e-5);
            assert_close(by_group.0, by_mask.0, 1e-5);
            assert_close(by_group.1, by_mask.1, 1e-5);
            for (phi, row) in phi.iter().zip(rows_of(grouped)) {
                assert_eq!(*phi == 0, row == 0.0, "{phi} {row}");
            }
        }
    }

    #[test]
    fn media_are_put_beside_each_other_stacked_and_picked() {
        let device = Device::flex();
        let block = config().init(&device);
        let visual = random([2, 3, 4, 6], &device);
        let all = block.media_kv(visual.clone());
        let same = |a: &MediaKv, b: &MediaKv| {
            assert_close(a.key.clone(), b.key.clone(), 1e-6);
            assert_close(a.value.clone(), b.value.clone(), 1e-6);
        };
        let part =
            |dim: usize, from: usize, len: usize| block.media_kv(visual.clone().narrow(dim, from, len));
        same(&MediaKv::beside([&part(1, 0, 2), &part(1, 2, 1)]), &all);
        same(&MediaKv::stack([&part(0, 0, 1), &part(0, 1, 1)]), &all);
        let picked = visual.clone().reshape([6, 1, 4, 6]).select(0, Tensor::<1, Int>::from([5, 1]));
        same(&all.pick(&[(1, 2), (0, 1)]), &block.media_kv(picked));
    }

    #[test]
    fn both_placements_are_the_published_ones() {
        let paper = GatedXattnConfig { every: 7, ..config() };
        assert_eq!(paper.layers(80), [0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77]);
        let open_flamingo = GatedXattnConfig { every: 4, placement: Placement::Last, ..config() };
        assert_eq!(open_flamingo.layers(32), [3, 7, 11, 15, 19, 23, 27, 31]);
    }

    #[test]
    fn block_sizes_are_the_papers() {
        // 48.2 M for Flamingo-3B, 696.3 M for 80B, from the formula in the paper's table 4.
        let count = |d_model, n_heads| {
            let config = GatedXattnConfig::paper(d_model, n_heads, 1536, 1);
            (count_parameters(&config.init(&Device::flex())) as f64 / 1e5).round() / 10.0
        };
        assert_eq!(count(2048, 16), 48.2);
        assert_eq!(count(8192, 64), 696.3);
    }
}
