//! Who sees what: the ways in which text positions find their visual tokens.
//!
//! A position attends to the R tokens of one image, yet a mask over all images costs M*R scores for each position. So
//! positions that see the same image are put together and attend to its tokens alone: the cost of a text does not
//! depend on how many images are in it.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use flamingo_core::{MediaAttention, MediaLayout};

/// Longest group of positions; those that see one image for longer are several groups. Longer groups are padded more,
/// shorter ones copy an image's keys more often.
const LONGEST: usize = 64;

/// Which visual tokens the positions of a text attend to.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "a tensor's handle is large, and a pass over a text has one sight"
)]
pub enum Sight {
    /// None: the attention adds nothing.
    Nothing,
    /// Every position all tokens of its row.
    Everything,
    /// All tokens of its row that are not blocked: `[B, 1, L or 1, M*R]`, `true` where attention is blocked.
    Masked(Tensor<4, Bool>),
    /// Those of one image.
    Grouped(Groups),
}

impl Sight {
    /// The cheapest way for a text of this layout to see media of dimensions `[B or 1, M, R]`.
    pub fn new(layout: &MediaLayout, attention: MediaAttention, dims: [usize; 3]) -> Self {
        let [_, media, _] = dims;
        let sees = |phi: &u32| (1..=media as u32).contains(phi);
        if !layout.phi().iter().any(sees) {
            return Self::Nothing;
        }
        match attention {
            _ if media == 1 && layout.phi().iter().all(sees) => Self::Everything,
            MediaAttention::Preceding if media > 1 => Self::grouped(layout, dims),
            _ => Self::masked(layout, attention, dims),
        }
    }

    /// By a mask over all tokens.
    pub fn masked(layout: &MediaLayout, attention: MediaAttention, dims: [usize; 3]) -> Self {
        let [_, media, latents] = dims;
        Self::Masked(layout.blocked(attention, media, latents))
    }

    /// By groups of positions that see the same image, which is [`MediaAttention::Preceding`].
    pub fn grouped(layout: &MediaLayout, dims: [usize; 3]) -> Self {
        let [rows, media, _] = dims;
        let [_, len] = layout.index.dims();
        let runs = runs(layout.phi(), len, media, rows == 1);
        if runs.is_empty() {
            return Self::Nothing;
        }
        Self::Grouped(Groups::new(&runs, layout.phi().len(), rows * media, &layout.index.device()))
    }
}

/// Positions of a text, put together by the image that they see.
#[derive(Debug, Clone)]
pub struct Groups {
    /// The position, of all `B*L`, that stands in each place of each group, `[N*T]`; some places are not needed.
    pub(crate) positions: Tensor<1, Int>,
    /// Which of all media each group sees, `[N]`; `None` if each sees its own, in order.
    pub(crate) media: Option<Tensor<1, Int>>,
    /// The place of each position, `[B*L]`; `N*T` for those that see nothing.
    pub(crate) places: Tensor<1, Int>,
    /// Places of a group (T).
    pub(crate) size: usize,
}

/// Positions in a row that see one image.
struct Run {
    /// Among all `B*L`.
    from: usize,
    len: usize,
    /// Among all media.
    medium: usize,
}

/// The runs of a batch, in order. `shared` is whether all rows see the same media.
fn runs(phi: &[u32], len: usize, media: usize, shared: bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (position, image) in phi.iter().map(|image| *image as usize).enumerate() {
        let row = position / len;
        if !(1..=media).contains(&image) {
            continue;
        }
        let medium = if shared { image - 1 } else { row * media + image - 1 };
        match runs.last_mut() {
            Some(last) if last.medium == medium && last.from + last.len == position => last.len += 1,
            _ => runs.push(Run { from: position, len: 1, medium }),
        }
    }
    runs
}

impl Groups {
    fn new(runs: &[Run], positions: usize, n_media: usize, device: &Device) -> Self {
        let size = runs.iter().map(|run| run.len).max().unwrap_or(0).min(LONGEST);
        let groups: Vec<Run> = runs
            .iter()
            .flat_map(|run| {
                let cut = |from: usize| Run { from: run.from + from, len: size.min(run.len - from), ..*run };
                (0..run.len).step_by(size).map(cut)
            })
            .collect();
        let mut in_places = vec![0; groups.len() * size];
        let mut places = vec![(groups.len() * size) as i32; positions];
        for (group, run) in groups.iter().enumerate() {
            for i in 0..run.len {
                let (place, position) = (group * size + i, run.from + i);
                in_places[place] = position as i32;
                places[position] = place as i32;
            }
        }
        let in_order = groups.iter().map(|run| run.medium).eq(0..n_media);
        let media = groups.iter().map(|run| run.medium as i32).collect();
        let indices = |values: Vec<i32>| {
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), device)
        };
        Self {
            positions: indices(in_places),
            media: (!in_order).then(|| indices(media)),
            places: indices(places),
            size,
        }
    }
}
