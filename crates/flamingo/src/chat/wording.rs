//! How each family's models were shown conversations.
//!
//! | wording | a message | its answer | for |
//! |---|---|---|---|
//! | [`Pages`](Wording::Pages) | `<image>…` | `…<EOC>` | models trained here |
//! | [`Dialogue`](Wording::Dialogue) | `User:<image>…` | `Assistant: …<EOC>`, on its own line | OpenFlamingo, after appendix B.1.6 of the paper |
//! | [`Idefics`](Wording::Idefics) | `User:<image>…<end_of_utterance>` | `Assistant: …<end_of_utterance>`, likewise | IDEFICS, by its documentation |
//! | [`ChatMl`](Wording::ChatMl) | `<\|im_start\|>user … <\|im_end\|>` | `<\|im_start\|>assistant … <\|im_end\|>` | language models that end texts so |
//! | [`Text`](Wording::Text) | `…` | `…`, and a new line | other language models |
//!
//! `<EOC>` and `<end_of_utterance>` are left out where a model has no such token.

use super::Turn;
use crate::dialect::{Dialect, Style};
use crate::prompt::{Medium, Writer};

/// How a conversation is written; see the table in this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// Without speakers, as pages of a book: an image alone is captioned, and earlier ones with their answers are
    /// examples; a text is gone on from. It is what models are trained on here.
    Pages,
    /// User and Assistant, introduced by a preamble.
    Dialogue,
    /// User and Assistant, as IDEFICS knows them.
    Idefics,
    /// Messages in the tokens of ChatML.
    ChatMl,
    /// One text, which the model goes on from.
    Text,
}

impl Wording {
    /// What suits a model best.
    pub fn of(dialect: &Dialect) -> Self {
        match dialect.style() {
            Style::Paper => Self::Pages,
            Style::OpenFlamingo => Self::Dialogue,
            Style::Idefics => Self::Idefics,
            Style::Text if dialect.is_chat_ml() => Self::ChatMl,
            Style::Text => Self::Text,
        }
    }

    /// What is said before the first message, unless the conversation has a preamble of its own.
    pub fn preamble(self) -> &'static str {
        match self {
            Self::Dialogue => {
                "What follows is a conversation between User, a human, and Assistant, an AI that sees pictures as well \
                 as it reads. User shows it pictures and asks about them, and Assistant answers truly and in a few \
                 words."
            }
            Self::ChatMl => "You are a helpful assistant.",
            Self::Pages | Self::Idefics | Self::Text => "",
        }
    }

    pub(super) fn stop_strings(self) -> Vec<String> {
        match self {
            Self::Dialogue | Self::Idefics => vec!["\nUser:".to_owned()],
            Self::Pages | Self::ChatMl | Self::Text => Vec::new(),
        }
    }

    pub(super) fn write_preamble(self, writer: &mut Writer, preamble: &str) {
        match self {
            _ if preamble.is_empty() => {}
            Self::ChatMl => writer.text(&format!("<|im_start|>system\n{preamble}<|im_end|>\n")),
            Self::Dialogue => writer.text(&format!("{preamble}\n\n")),
            Self::Pages | Self::Idefics | Self::Text => writer.text(&format!("{preamble}\n")),
        }
    }

    /// A turn; where its answer is missing, the place where it begins if it is the `last`.
    pub(super) fn write(self, writer: &mut Writer, Turn { media, text, answer }: &Turn, last: bool) {
        let answered = answer.is_some() || last;
        let answer = answer.as_deref();
        match self {
            Self::Pages => {
                writer.media(media);
                writer.text(text);
                if let Some(answer) = answer {
                    writer.text(answer);
                    writer.end_of_chunk();
                }
            }
            Self::Text => {
                writer.media(media);
                writer.text(text);
                if let Some(answer) = answer {
                    writer.text(&format!("{answer}\n"));
                }
            }
            Self::Dialogue | Self::Idefics => {
                said_by_user(writer, media, text);
                if self == Self::Idefics {
                    writer.end_of_chunk();
                }
                writer.text("\n");
                if answered {
                    writer.text("Assistant:");
                }
                if let Some(answer) = answer {
                    writer.text(&format!(" {}", answer.trim()));
                    writer.end_of_chunk();
                    writer.text("\n");
                }
            }
            Self::ChatMl => {
                writer.text("<|im_start|>user\n");
                writer.media(media);
                writer.text(&format!("{text}<|im_end|>\n"));
                if answered {
                    writer.text("<|im_start|>assistant\n");
                }
                if let Some(answer) = answer {
                    writer.text(&format!("{}<|im_end|>\n", answer.trim()));
                }
            }
        }
    }
}

/// An image stands where a space would.
fn said_by_user(writer: &mut Writer, media: &[Medium], text: &str) {
    writer.text("User:");
    writer.media(media);
    if media.is_empty() {
        writer.text(" ");
    }
    writer.text(text);
}
