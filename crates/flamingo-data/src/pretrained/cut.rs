//! Byte-level BPE: how a text is cut up before its pieces are merged, which differs from family to family.
//!
//! The expressions are data of the published tokenizers. llama.cpp names them in `tokenizer.ggml.pre`.

use serde_json::{Value, json};

/// How a family cuts up a text, and what else its byte-level BPE does in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    by: By,
    /// The Unicode form in which texts are spelled, if not as they come.
    normal_form: Option<&'static str>,
    /// Whether a piece that is a token stays whole even if no merges lead to it.
    pub ignore_merges: bool,
    /// Whether BOS is put before a text when the file does not say.
    pub adds_bos: bool,
}

/// Where the cuts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Those of GPT-2.
    Gpt2,
    /// Around each digit, and those of GPT-2.
    Digits,
    /// Around each match.
    Expression(&'static str),
}

impl Cut {
    /// GPT-2's, with which many others agree.
    pub const GPT2: Self = Self::by(By::Gpt2);

    const DIGITS: Self = Self::by(By::Digits);

    const LLAMA3: Self = Self { ignore_merges: true, adds_bos: true, ..Self::by(By::Expression(LLAMA3)) };

    const QWEN2: Self = Self { normal_form: Some("NFC"), ..Self::by(By::Expression(QWEN2)) };

    const GPT4O: Self = Self::by(By::Expression(GPT4O));

    const fn by(by: By) -> Self {
        Self { by, normal_form: None, ignore_merges: false, adds_bos: false }
    }

    /// `normalizer` of a `tokenizer.json`.
    pub fn normalizer(self) -> Value {
        self.normal_form.map_or(Value::Null, |form| json!({"type": form}))
    }

    /// `pre_tokenizer` of a `tokenizer.json`.
    pub fn pre_tokenizer(self) -> Value {
        let steps = match self.by {
            By::Gpt2 => vec![byte_level(true)],
            By::Digits => vec![json!({"type": "Digits", "individual_digits": true}), byte_level(true)],
            By::Expression(expression) => {
                let pattern = json!({"Regex": expression});
                let split =
                    json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false});
                vec![split, byte_level(false)]
            }
        };
        json!({"type": "Sequence", "pretokenizers": steps})
    }
}

/// Bytes as characters, and back; with `cuts`, between words as GPT-2 has them.
pub(super) fn byte_level(cuts: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": cuts})
}

/// llama.cpp's names.
pub(super) const CUTS: [(&str, Cut); 17] = [
    ("default", Cut::GPT2),
    ("gpt-2", Cut::GPT2),
    ("mpt", Cut::GPT2),
    ("olmo", Cut::GPT2),
    ("phi-2", Cut::GPT2),
    ("smollm", Cut::DIGITS),
    ("starcoder", Cut::DIGITS),
    ("refact", Cut::DIGITS),
    ("command-r", Cut::DIGITS),
    ("codeshell", Cut::DIGITS),
    ("exaone", Cut::DIGITS),
    ("llama-bpe", Cut::LLAMA3),
    ("llama3", Cut::LLAMA3),
    ("llama-v3", Cut::LLAMA3),
    ("falcon3", Cut::LLAMA3),
    ("qwen2", Cut::QWEN2),
    ("gpt-4o", Cut::GPT4O),
];

/// Llama 3: endings of English verbs, words with what stands before them, up to three digits, other signs, line ends.
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Qwen 2: the same, with each digit by itself.
const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// GPT-4o: words end where small letters are followed by capitals, and keep their endings.
const GPT4O: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
