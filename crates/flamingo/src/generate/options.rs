//! How a text is to be continued: every choice, its default, and what is allowed.

use serde::{Deserialize, Serialize};

use crate::error::FlamingoError;

/// The choices of a generation. In a file, what is not given has its default; an unknown key is an error.
///
/// ```
/// use flamingo::generate::GenerateOptions;
///
/// let options: GenerateOptions = serde_json::from_str(r#"{"beams": 3, "early_stopping": "never"}"#)?;
/// options.validate()?;
/// assert_eq!(options.max_new_tokens, 64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateOptions {
    /// Most tokens of a text, its end included. Default 64.
    pub max_new_tokens: usize,
    /// No stop id before this many tokens. Stop strings count at any place. Default 0.
    pub min_new_tokens: usize,
    /// Texts followed side by side; 1, the default, follows the best token only, or the one that was drawn.
    pub beams: usize,
    /// Beams: a text's score is its log-probability divided by its length to this power; above 0 favours long texts.
    /// Default 1.
    pub length_penalty: f64,
    /// Beams: when to stop looking. Default `false`.
    pub early_stopping: EarlyStopping,
    /// Beams: whose rules. Default `transformers-4.57`.
    pub beam_rules: BeamRules,
    /// Above 0, tokens are drawn, from scores divided by this; 0, the default, takes the best.
    pub temperature: f64,
    /// Drawing: only from the best so many, and those as good as the last of them; 0, the default, is all.
    pub top_k: usize,
    /// Drawing: only from the fewest best tokens that have this much probability together; 1, the default, is all.
    pub top_p: f64,
    /// Drawing: only tokens at least this many times as probable as the best one; 0, the default, is all.
    pub min_p: f64,
    /// Positive scores of tokens that the prompt or the text has are divided by it, negative ones multiplied. Default 1.
    pub repetition_penalty: f64,
    /// No run of this many tokens comes twice, prompt included; 0, the default, allows all.
    pub no_repeat_ngram: usize,
    /// The text ends before the first of these. Default none.
    pub stop_strings: Vec<String>,
    /// Tokens that end the text and are no part of it. Default none.
    pub stop_ids: Vec<u32>,
    /// Tokens that never come. Default none.
    pub banned_ids: Vec<u32>,
    /// Decides every draw. Default 0.
    pub seed: u64,
}

/// When a beam search stops before `max_new_tokens`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenStopping", into = "WrittenStopping")]
pub enum EarlyStopping {
    /// `true`: as soon as there are as many finished texts as beams.
    Full,
    /// `false`: when the best unfinished text, as long as it is now, scores no better than the worst finished one.
    #[default]
    Unlikely,
    /// `"never"`: when no unfinished text can still score better, if it became as long as suits it best.
    Impossible,
}

/// `true`, `false` or `"never"`: the values that transformers has for it.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "early_stopping must be true, false or \"never\"")]
enum WrittenStopping {
    Flag(bool),
    Word(Never),
}

#[derive(Serialize, Deserialize)]
enum Never {
    #[serde(rename = "never")]
    Never,
}

impl From<WrittenStopping> for EarlyStopping {
    fn from(written: WrittenStopping) -> Self {
        match written {
            WrittenStopping::Flag(true) => Self::Full,
            WrittenStopping::Flag(false) => Self::Unlikely,
            WrittenStopping::Word(Never::Never) => Self::Impossible,
        }
    }
}

impl From<EarlyStopping> for WrittenStopping {
    fn from(stopping: EarlyStopping) -> Self {
        match stopping {
            EarlyStopping::Full => Self::Flag(true),
            EarlyStopping::Unlikely => Self::Flag(false),
            EarlyStopping::Impossible => Self::Word(Never::Never),
        }
    }
}

/// Two versions of transformers whose beam searches find different texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BeamRules {
    /// The library that OpenFlamingo was evaluated with. A text's length counts the prompt, and not the stop id; the
    /// search also looks at finished candidates to tell whether to go on; at the end, all unfinished texts compete.
    #[serde(rename = "transformers-4.35")]
    Transformers435,
    /// A text's length counts what was generated, stop id included. Of the last step's candidates, the best compete.
    #[default]
    #[serde(rename = "transformers-4.57")]
    Transformers457,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 64,
            min_new_tokens: 0,
            beams: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::default(),
            beam_rules: BeamRules::default(),
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            no_repeat_ngram: 0,
            stop_strings: Vec::new(),
            stop_ids: Vec::new(),
            banned_ids: Vec::new(),
            seed: 0,
        }
    }
}

impl GenerateOptions {
    /// Checks every value, and that they go together.
    ///
    /// # Errors
    ///
    /// [`FlamingoError::GenerateOption`], which names the first value that cannot be and what is allowed.
    pub fn validate(&self) -> Result<(), FlamingoError> {
        let Self { max_new_tokens, min_new_tokens, beams, temperature, .. } = *self;
        let within = |value: f64, least: f64, most: f64| (least..=most).contains(&value);
        let positive = |value: f64| value > 0.0 && value.is_finite();
        check("max_new_tokens", max_new_tokens, max_new_tokens >= 1, "at least 1")?;
        check(
            "min_new_tokens",
            min_new_tokens,
            min_new_tokens <= max_new_tokens,
            "at most max_new_tokens, which also counts the end",
        )?;
        check("beams", beams, beams >= 1, "at least 1")?;
        check("length_penalty", self.length_penalty, self.length_penalty.is_finite(), "a finite number")?;
        check(
            "temperature",
            temperature,
            temperature == 0.0 || positive(temperature),
            "0 (always the best token) or a finite number above it",
        )?;
        check(
            "temperature",
            temperature,
            temperature == 0.0 || beams == 1,
            "0 with more than one beam: a beam search draws nothing; set beams to 1 to draw",
        )?;
        check(
            "top_p",
            self.top_p,
            self.top_p > 0.0 && self.top_p <= 1.0,
            "above 0 and at most 1 (all tokens)",
        )?;
        check("min_p", self.min_p, within(self.min_p, 0.0, 1.0), "from 0 (all tokens) to 1")?;
        check(
            "repetition_penalty",
            self.repetition_penalty,
            positive(self.repetition_penalty),
            "a finite number above 0; 1 changes nothing",
        )?;
        let empty = self.stop_strings.iter().any(String::is_empty);
        check("stop_strings", format!("{:?}", self.stop_strings), !empty, "texts of at least one character")
    }
}

fn check(
    field: &'static str,
    value: impl ToString,
    holds: bool,
    allowed: &'static str,
) -> Result<(), FlamingoError> {
    match holds {
        true => Ok(()),
        false => Err(FlamingoError::GenerateOption { field, value: value.to_string(), allowed }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        let options: GenerateOptions = serde_json::from_str(json).unwrap();
        options.validate().unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_valid_and_survive_a_file() {
        let options = GenerateOptions::default();
        options.validate().unwrap();
        let written = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<GenerateOptions>(&written).unwrap(), options);
        assert_eq!(serde_json::from_str::<GenerateOptions>("{}").unwrap(), options);
    }

    #[test]
    fn early_stopping_is_written_as_in_transformers() {
        let read = |text: &str| serde_json::from_str::<EarlyStopping>(text);
        for (text, value) in [
            ("true", EarlyStopping::Full),
            ("false", EarlyStopping::Unlikely),
            ("\"never\"", EarlyStopping::Impossible),
        ] {
            assert_eq!(read(text).unwrap(), value);
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
        }
        let error = read("\"always\"").unwrap_err().to_string();
        assert!(error.contains("true, false or \"never\""), "{error}");
    }

    #[test]
    fn what_cannot_be_is_named_with_its_value_and_the_remedy() {
        for (json, field) in [
            (r#"{"max_new_tokens": 0}"#, "max_new_tokens = 0"),
            (r#"{"min_new_tokens": 65}"#, "min_new_tokens = 65"),
            (r#"{"beams": 0}"#, "beams = 0"),
            (r#"{"temperature": -0.5}"#, "temperature = -0.5"),
            (r#"{"top_p": 0}"#, "top_p = 0"),
            (r#"{"top_p": 1.5}"#, "top_p = 1.5"),
            (r#"{"min_p": -1}"#, "min_p = -1"),
            (r#"{"repetition_penalty": 0}"#, "repetition_penalty = 0"),
            (r#"{"stop_strings": ["a", ""]}"#, r#"stop_strings = ["a", ""]"#),
        ] {
            assert!(refused(json).contains(field), "{}", refused(json));
        }
        assert!(refused(r#"{"beams": 3, "temperature": 1}"#).contains("set beams to 1"));
        assert!(serde_json::from_str::<GenerateOptions>(r#"{"beam": 3}"#).is_err());
    }
}
