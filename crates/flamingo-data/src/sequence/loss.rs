//! Which tokens of a sequence a model learns to predict.

use serde::{Deserialize, Serialize};

use crate::tokenizer::SpecialTokens;

/// Which tokens count in the loss. `<image>`, `<PAD>`, `<BOS>` and a row's first token never do: nobody has to
/// predict them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossRule {
    /// All text, `<EOC>` and `<EOS>`: the likelihood of the paper's equation 1, in which text without an image counts
    /// as any other.
    #[default]
    Paper,
    /// As OpenFlamingo trained. In pages, text before the first `<image>` does not count, nor what follows an `<EOC>`
    /// up to the next `<image>`; the `<EOC>` itself counts. In pairs and texts, the same as [`LossRule::Paper`].
    OpenFlamingo,
}

/// What a sequence was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Page,
    Pair,
    Text,
}

impl LossRule {
    /// The weight of each token of a row, 0 or 1.
    pub(super) fn weights(self, ids: &[u32], kind: Kind, special: SpecialTokens) -> Vec<f32> {
        // Where BOS and EOS are one token, it has to be predicted in its second role. Padding comes later, with a
        // weight of its own, so that a tokenizer that pads with EOS still learns where texts end.
        let begins = |id: u32| id == special.bos && id != special.eos;
        let mut open = !(self == LossRule::OpenFlamingo && kind == Kind::Page);
        let weight = |(position, id): (usize, &u32)| {
            let counts = position > 0 && open && *id != special.image && !begins(*id);
            if self == LossRule::OpenFlamingo && kind == Kind::Page {
                open = *id == special.image || (open && *id != special.eoc);
            }
            f32::from(u8::from(counts))
        };
        ids.iter().enumerate().map(weight).collect()
    }
}
