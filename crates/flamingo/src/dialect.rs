//! How a model wants to be written to: its tokenizer, what stands for an image, what ends a chunk.
//!
//! | style | a text begins with | an image is | a chunk ends with |
//! |---|---|---|---|
//! | paper (models trained here) | `<BOS>` | `<image>` | `<EOC>` |
//! | OpenFlamingo | what its language model's tokenizer puts there | `<image>` | `<\|endofchunk\|>` |
//! | IDEFICS | `<s>` | `<image>` between `<fake_token_around_image>` | `<end_of_utterance>`, if it has it |
//! | a language model alone | what its tokenizer puts there | - | - |
//!
//! A published model without its tokenizer can still be given token ids; which of them stands for an image is then told
//! by its tables.

use flamingo_core::media::{TextTie, media_index};
use flamingo_data::{
    PretrainedEncoder, PretrainedTokenizer, SpecialTokens, TextEncoder, TextTokenizer, TokenCount,
};

use crate::error::FlamingoError;
use crate::generate::Decode;
use crate::prompt::{Medium, Part, Prompt};

const IMAGE: &str = "<image>";
const END_OF_CHUNK: &str = "<|endofchunk|>";
/// IDEFICS': on both sides of an image, once between two.
const AROUND_IMAGE: &str = "<fake_token_around_image>";
const END_OF_UTTERANCE: &str = "<end_of_utterance>";
/// ChatML's, around a message.
const MESSAGE: [&str; 2] = ["<|im_start|>", "<|im_end|>"];

/// Whose conventions a model's prompts follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The paper's, as models trained here have them.
    Paper,
    /// OpenFlamingo's.
    OpenFlamingo,
    /// IDEFICS'.
    Idefics,
    /// Text alone.
    Text,
}

/// See the [module documentation](self).
#[derive(Debug, Clone)]
pub struct Dialect {
    tokenizer: Tokenizer,
    style: Style,
    bos: Option<u32>,
    image: Option<u32>,
    eoc: Option<u32>,
    eos: Vec<u32>,
}

/// The tokenizers of models trained here, and of others.
#[derive(Debug, Clone)]
enum Tokenizer {
    Own(TextTokenizer),
    /// Of a published language model that was joined here.
    Joined(PretrainedEncoder),
    Published(PretrainedTokenizer),
    Absent,
}

/// A prompt as a model reads it.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// phi: 1-based index of each token's image, 0 for none.
    pub media_index: Vec<u32>,
    /// What stands behind each image token, in order.
    pub media: Vec<Medium>,
}

impl Dialect {
    /// Of a model trained here.
    pub fn paper(tokenizer: TextTokenizer) -> Self {
        Self::spelled(tokenizer.special(), Tokenizer::Own(tokenizer))
    }

    /// Of a model trained here around a published language model.
    pub fn joined(tokenizer: PretrainedEncoder) -> Self {
        Self::spelled(tokenizer.special(), Tokenizer::Joined(tokenizer))
    }

    fn spelled(special: SpecialTokens, tokenizer: Tokenizer) -> Self {
        Self {
            style: Style::Paper,
            bos: Some(special.bos),
            image: Some(special.image),
            eoc: Some(special.eoc),
            eos: vec![special.eos],
            tokenizer,
        }
    }

    /// Of an OpenFlamingo around the language model of that tokenizer, to which its tokens are added.
    ///
    /// # Errors
    ///
    /// If they cannot be added.
    pub fn open_flamingo(mut tokenizer: PretrainedTokenizer) -> Result<Self, FlamingoError> {
        let added = tokenizer.add_open_flamingo()?;
        Ok(Self {
            style: Style::OpenFlamingo,
            bos: tokenizer.bos(),
            image: Some(added.image),
            eoc: Some(added.eoc),
            eos: tokenizer.eos().into_iter().collect(),
            tokenizer: Tokenizer::Published(tokenizer),
        })
    }

    /// Of an IDEFICS.
    ///
    /// # Errors
    ///
    /// If the tokenizer lacks a token that every prompt with an image needs.
    pub fn idefics(tokenizer: PretrainedTokenizer) -> Result<Self, FlamingoError> {
        let needed = |token: &str| {
            tokenizer.id(token).ok_or_else(|| FlamingoError::Published {
                what: format!("the tokenizer has no {token}: is it the tokenizer of an IDEFICS?"),
            })
        };
        needed(AROUND_IMAGE)?;
        Ok(Self {
            style: Style::Idefics,
            bos: tokenizer.bos(),
            image: Some(needed(IMAGE)?),
            eoc: tokenizer.id(END_OF_UTTERANCE),
            eos: tokenizer.eos().into_iter().collect(),
            tokenizer: Tokenizer::Published(tokenizer),
        })
    }

    /// Of a model whose tokenizer is not there, with the ids of the tokens for an image and for the end of a chunk.
    pub fn of_ids(style: Style, image: Option<u32>, eoc: Option<u32>) -> Self {
        Self { tokenizer: Tokenizer::Absent, style, bos: None, image, eoc, eos: Vec::new() }
    }

    /// Of a language model alone; `eos` are the tokens that its configuration ends texts with.
    pub fn text(tokenizer: PretrainedTokenizer, eos: &[u32]) -> Self {
        let mut eos = eos.to_vec();
        eos.extend(tokenizer.eos().filter(|token| !eos.contains(token)));
        Self {
            style: Style::Text,
            bos: tokenizer.bos(),
            image: None,
            eoc: None,
            eos,
            tokenizer: Tokenizer::Published(tokenizer),
        }
    }

    /// Whose conventions these are.
    pub fn style(&self) -> Style {
        self.style
    }

    /// The token that stands for an image.
    pub fn image(&self) -> Option<u32> {
        self.image
    }

    /// The token that ends a chunk.
    pub fn eoc(&self) -> Option<u32> {
        self.eoc
    }

    /// Tokens that end an answer: of a chunk, of a text.
    pub fn ends(&self) -> Vec<u32> {
        self.eoc.into_iter().chain(self.eos.iter().copied()).collect()
    }

    /// Tokens that stand for images or around them, which an answer never has.
    pub fn around_images(&self) -> Vec<u32> {
        let around = match &self.tokenizer {
            Tokenizer::Published(tokenizer) if self.style == Style::Idefics => tokenizer.id(AROUND_IMAGE),
            _ => None,
        };
        self.image.into_iter().chain(around).collect()
    }

    /// Whether this is a language model that was trained on conversations in ChatML: its texts end as messages do.
    pub fn is_chat_ml(&self) -> bool {
        let Tokenizer::Published(tokenizer) = &self.tokenizer else { return false };
        let [start, end] = MESSAGE.map(|token| tokenizer.id(token));
        self.style == Style::Text && start.is_some() && end.is_some_and(|end| self.eos.contains(&end))
    }

    /// A prompt as the model reads it.
    ///
    /// # Errors
    ///
    /// [`FlamingoError::Prompt`] if the prompt has something that the model has no token for, or images and the text's
    /// own image tokens are not as many.
    pub fn encode(&self, prompt: &Prompt) -> Result<Encoded, FlamingoError> {
        let ids = match prompt {
            Prompt::Parts(parts) => self.ids(parts)?,
            Prompt::Tokens { ids, .. } => ids.clone(),
        };
        let media: Vec<Medium> = prompt.media().cloned().collect();
        let places = self.image.map_or(0, |image| ids.iter().filter(|id| **id == image).count());
        if places != media.len() {
            let images = media.len();
            return Err(FlamingoError::Prompt {
                what: format!("there are {images} images or videos for {places} image tokens"),
            });
        }
        if ids.is_empty() {
            return Err(FlamingoError::Prompt { what: "it is empty".to_owned() });
        }
        let media_index = self.media_index(&ids);
        Ok(Encoded { ids, media_index, media })
    }

    /// phi of `ids`: 1-based index of each token's image, 0 for none.
    pub fn media_index(&self, ids: &[u32]) -> Vec<u32> {
        match self.image {
            Some(image) => media_index(ids, image, TextTie::Previous),
            None => vec![0; ids.len()],
        }
    }

    /// The ids of a text that continues another.
    ///
    /// # Errors
    ///
    /// If the vocabulary cannot spell it.
    pub fn continuation(&self, text: &str) -> Result<Vec<u32>, FlamingoError> {
        match &self.tokenizer {
            Tokenizer::Own(tokenizer) => Ok(tokenizer.encode(text)),
            Tokenizer::Joined(tokenizer) => Ok(tokenizer.encode(text)),
            Tokenizer::Published(tokenizer) => Ok(tokenizer.encode_part(text)?),
            Tokenizer::Absent => Err(no_tokenizer()),
        }
    }

    /// The text of `ids`, without special tokens; without a tokenizer, their numbers.
    ///
    /// # Errors
    ///
    /// If the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, FlamingoError> {
        match &self.tokenizer {
            Tokenizer::Own(tokenizer) => Ok(tokenizer.decode(ids)),
            Tokenizer::Joined(tokenizer) => Ok(tokenizer.decode(ids)),
            Tokenizer::Published(tokenizer) => Ok(tokenizer.decode(ids)?),
            Tokenizer::Absent => Ok(ids.iter().map(|id| self.piece(*id)).collect()),
        }
    }

    /// A token as the vocabulary has it (a space may be `Ġ` or `▁`); rows without a token are `<N>`.
    pub fn piece(&self, id: u32) -> String {
        let piece = match &self.tokenizer {
            Tokenizer::Own(tokenizer) => tokenizer.piece(id),
            Tokenizer::Joined(tokenizer) => tokenizer.piece(id),
            Tokenizer::Published(tokenizer) => tokenizer.piece(id),
            Tokenizer::Absent => None,
        };
        piece.unwrap_or_else(|| format!("<{id}>"))
    }

    fn ids(&self, parts: &[Part]) -> Result<Vec<u32>, FlamingoError> {
        let tokenizer = match &self.tokenizer {
            Tokenizer::Own(tokenizer) => return Ok(spliced(parts, tokenizer)),
            Tokenizer::Joined(tokenizer) => return Ok(spliced(parts, tokenizer)),
            Tokenizer::Published(tokenizer) => tokenizer,
            Tokenizer::Absent => return Err(no_tokenizer()),
        };
        let text = self.written(parts)?;
        match (self.style, self.bos.and_then(|bos| tokenizer.piece(bos))) {
            // Its processor writes BOS into the text, whatever the tokenizer would do.
            (Style::Idefics, Some(bos)) => Ok(tokenizer.encode_part(&format!("{bos}{text}"))?),
            _ => Ok(tokenizer.encode(&text)?),
        }
    }

    /// The whole prompt as one text with special tokens in it, as the published models' own programs write it.
    fn written(&self, parts: &[Part]) -> Result<String, FlamingoError> {
        let mut text = String::new();
        let mut behind_image = false;
        for part in parts {
            match (part, self.style) {
                (Part::Text(part), Style::Idefics) => text += part.trim_matches(' '),
                (Part::Text(part), _) => text += part,
                (Part::Medium(_), Style::Idefics) => {
                    if !behind_image {
                        text += AROUND_IMAGE;
                    }
                    text += IMAGE;
                    text += AROUND_IMAGE;
                }
                (Part::Medium(_), Style::Text) => {
                    return Err(self.lacks("an image", "it is a language model"));
                }
                (Part::Medium(_), _) => text += IMAGE,
                (Part::EndOfChunk, Style::OpenFlamingo) => text += END_OF_CHUNK,
                (Part::EndOfChunk, Style::Idefics) if self.eoc.is_some() => text += END_OF_UTTERANCE,
                (Part::EndOfChunk, _) => {
                    return Err(self.lacks("the end of a chunk", "write it as text"));
                }
            }
            behind_image = matches!(part, Part::Medium(_));
        }
        Ok(text)
    }

    fn lacks(&self, what: &str, hint: &str) -> FlamingoError {
        FlamingoError::Prompt { what: format!("this model has no token for {what}: {hint}") }
    }
}

impl Decode for Dialect {
    fn decode(&self, ids: &[u32]) -> Result<String, FlamingoError> {
        Dialect::decode(self, ids)
    }
}

impl TokenCount for Dialect {
    /// Of a text that the vocabulary cannot spell, as many as there can be: asking for it will say why.
    fn count(&self, text: &str) -> usize {
        self.continuation(text).map_or(usize::MAX, |ids| ids.len())
    }
}

/// Special tokens by their ids, so that text never becomes one.
fn spliced(parts: &[Part], tokenizer: &impl TextEncoder) -> Vec<u32> {
    let special = tokenizer.special();
    let mut ids = vec![special.bos];
    for part in parts {
        match part {
            Part::Text(text) => ids.extend(tokenizer.encode(text)),
            Part::Medium(_) => ids.push(special.image),
            Part::EndOfChunk => ids.push(special.eoc),
        }
    }
    ids
}

fn no_tokenizer() -> FlamingoError {
    let what = "the model's folder has no tokenizer.json: put it there, or give token_ids instead of text";
    FlamingoError::Prompt { what: what.to_owned() }
}
