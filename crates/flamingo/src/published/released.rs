//! The released OpenFlamingo models: which language model and which encoder each was trained on.
//!
//! After the table in the README of `open_flamingo`, which names the models of MosaicML; the copies here are those that
//! it trained on, with a tokenizer beside the weights.

/// OpenAI's CLIP ViT-L/14, the encoder of all.
const CLIP: &str = "openai/clip-vit-large-patch14";

/// Hub ids by model: its own, and its language model's.
const RELEASED: [(&str, &str); 5] = [
    ("openflamingo/OpenFlamingo-3B-vitl-mpt1b", "anas-awadalla/mpt-1b-redpajama-200b"),
    ("openflamingo/OpenFlamingo-3B-vitl-mpt1b-langinstruct", "anas-awadalla/mpt-1b-redpajama-200b-dolly"),
    ("openflamingo/OpenFlamingo-4B-vitl-rpj3b", "togethercomputer/RedPajama-INCITE-Base-3B-v1"),
    (
        "openflamingo/OpenFlamingo-4B-vitl-rpj3b-langinstruct",
        "togethercomputer/RedPajama-INCITE-Instruct-3B-v1",
    ),
    ("openflamingo/OpenFlamingo-9B-vitl-mpt7b", "anas-awadalla/mpt-7b"),
];

/// The three parts of a released model, as ids of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFlamingoParts {
    /// The trained parts, with the revision that was asked for.
    pub checkpoint: String,
    /// The language model, with its tokenizer.
    pub lm: &'static str,
    /// The vision encoder.
    pub vision: &'static str,
}

/// The parts of the model `id`, which may name a revision; `None` if it is no released OpenFlamingo.
///
/// ```
/// let parts = flamingo::published::parts_of("openflamingo/OpenFlamingo-9B-vitl-mpt7b").unwrap();
/// assert_eq!(parts.lm, "anas-awadalla/mpt-7b");
/// ```
pub fn parts_of(id: &str) -> Option<OpenFlamingoParts> {
    let repository = id.split_once('@').map_or(id, |(repository, _)| repository);
    let (_, lm) = RELEASED.into_iter().find(|(known, _)| *known == repository)?;
    Some(OpenFlamingoParts { checkpoint: id.to_owned(), lm, vision: CLIP })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::ModelId;

    #[test]
    fn every_part_is_an_id() {
        for (id, _) in RELEASED {
            let parts = parts_of(id).unwrap();
            for part in [parts.checkpoint.as_str(), parts.lm, parts.vision] {
                assert_eq!(part.parse::<ModelId>().unwrap().repository(), part);
            }
        }
    }

    #[test]
    fn a_revision_is_the_checkpoints() {
        let parts = parts_of("openflamingo/OpenFlamingo-4B-vitl-rpj3b@v1").unwrap();
        assert_eq!(parts.checkpoint, "openflamingo/OpenFlamingo-4B-vitl-rpj3b@v1");
        assert_eq!(parts_of("HuggingFaceM4/idefics-9b"), None);
    }
}
