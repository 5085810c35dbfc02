//! How texts are continued: the same flags for every verb that generates.

use flamingo::dialect::Style;
use flamingo::generate::{BeamRules, GenerateOptions};
use flamingo::{Engine, FlamingoError, Limits, Pretrained};

#[derive(Debug, clap::Args)]
pub struct DecodingArgs {
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_new_tokens: usize,
    /// Texts followed side by side; 1 takes the best token each time
    #[arg(long, value_name = "N", default_value_t = 1)]
    beams: usize,
    /// With beams: above 0 favours long answers
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    length_penalty: f64,
    /// Above 0, tokens are drawn: the higher, the wilder
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f64,
    /// Draw from the best so many tokens only; 0 is all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Draw from the fewest best tokens with this much probability together
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f64,
    /// Draw from tokens at least this many times as probable as the best one
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    min_p: f64,
    /// Above 1, tokens that were there already are less likely
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f64,
    /// No run of so many tokens comes twice; 0 allows all
    #[arg(long, value_name = "N", default_value_t = 0)]
    no_repeat_ngram: usize,
    /// End the answer before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Decides every draw
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    limits: LimitsArg,
}

/// What to do with texts that are too long.
#[derive(Debug, clap::Args)]
pub struct LimitsArg {
    /// Read on behind the length that the language model was trained for, however badly
    #[arg(long)]
    allow_long: bool,
}

impl DecodingArgs {
    /// The options, by the rules of the programs that the model comes from.
    pub fn options(&self, model: &Pretrained) -> Result<GenerateOptions, FlamingoError> {
        let options = GenerateOptions {
            max_new_tokens: self.max_new_tokens,
            beams: self.beams,
            length_penalty: self.length_penalty,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            no_repeat_ngram: self.no_repeat_ngram,
            stop_strings: self.stop.clone(),
            seed: self.seed,
            beam_rules: match model.dialect.style() {
                Style::OpenFlamingo => BeamRules::Transformers435,
                Style::Paper | Style::Idefics | Style::Text => BeamRules::Transformers457,
            },
            ..GenerateOptions::default()
        };
        options.validate()?;
        Ok(options)
    }

    /// An engine that reads as much as these flags allow.
    pub fn engine(&self, model: Pretrained) -> Engine {
        self.limits.engine(model)
    }
}

impl LimitsArg {
    /// An engine that reads as much as this flag allows.
    pub fn engine(&self, model: Pretrained) -> Engine {
        if !self.allow_long {
            return Engine::new(model);
        }
        let context = model.network.lm().config().max_len;
        eprintln!(
            "warning: the language model was trained for {context} tokens; behind them it may write anything"
        );
        Engine::new(model).with_limits(Limits::Ignored)
    }
}
