//! Asking a model, again and again: nothing is computed twice that was computed before.
//!
//! ```text
//! prompt ─ dialect ─▶ ids, images
//!                       │  the longest beginning that was read before: its keys and values     prefixes.rs
//!                       │  images by their contents: their visual tokens                        eyes.rs
//!                       ▼
//!                     State: what was read                                                      state.rs
//!                       ├─▶ texts that go on from it, many rows at once                         rows.rs
//!                       └─▶ how likely each of many candidates is                               candidates.rs
//! ```
//!
//! So the examples of a few-shot prompt are read once for many queries, and a conversation is simply its whole prompt,
//! each time: only what is new is read, and taking back a turn costs nothing.
//!
//! ```no_run
//! use flamingo::{DeviceSpec, Engine, Pretrained, Prompt, generate::GenerateOptions};
//!
//! let device = "auto".parse::<DeviceSpec>()?.resolve()?;
//! let mut engine = Engine::new(Pretrained::open("runs/first-light", &device)?);
//! let prompt = Prompt::from_json(r#"[{"image": "cat.png"}]"#, ".".as_ref())?;
//! let answer = engine.generate(&[prompt], &GenerateOptions::default())?.remove(0);
//! println!("{} ({:.2})", answer.text, answer.logprob());
//! # Ok::<(), flamingo::FlamingoError>(())
//! ```

mod candidates;
mod eyes;
mod prefixes;
mod rows;
mod sight;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use flamingo_lm::positions::Positions;
use serde::Serialize;

use crate::dialect::Encoded;
use crate::error::FlamingoError;
use crate::generate::{self, GenerateOptions, Generated, Scores, TokenStream};
use crate::pretrained::{Network, Pretrained};
use crate::prompt::{Medium, Prompt};
use eyes::{Eyes, Image};
use prefixes::Prefixes;

pub use candidates::CandidateScore;
pub use rows::Rows;
pub use state::State;

/// Tokens behind a prompt for which there is space in its cache from the first.
const SPACE: usize = 64;

/// A model and what it has read; see the [module documentation](self).
#[derive(Debug)]
pub struct Engine {
    pretrained: Pretrained,
    eyes: Eyes,
    prefixes: Prefixes,
    limits: Limits,
    timings: Timings,
}

/// What to do with texts that are longer than what the language model was trained to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limits {
    /// They are refused.
    #[default]
    Trained,
    /// They are read, however badly; but for learned positions, which end.
    Ignored,
}

/// Where the time of the last call went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Decoding, resizing and encoding images, and resampling; those not seen before.
    #[serde(rename = "images_s", serialize_with = "seconds")]
    pub images: Duration,
    /// Reading prompts, but for beginnings that were read before.
    #[serde(rename = "prefill_s", serialize_with = "seconds")]
    pub prefill: Duration,
    /// Everything behind the prompts.
    #[serde(rename = "decode_s", serialize_with = "seconds")]
    pub decode: Duration,
    /// Images that were encoded.
    pub new_images: usize,
    /// Tokens of all prompts.
    pub prompt_tokens: usize,
    /// How many of them had been read before.
    pub reused_tokens: usize,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl Engine {
    /// An engine that has read nothing.
    pub fn new(pretrained: Pretrained) -> Self {
        Self {
            pretrained,
            eyes: Eyes::default(),
            prefixes: Prefixes::default(),
            limits: Limits::default(),
            timings: Timings::default(),
        }
    }

    /// With other rules for long texts.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The model.
    pub fn pretrained(&self) -> &Pretrained {
        &self.pretrained
    }

    /// Where the time of the last call went.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// Forgets all that was read and seen.
    pub fn forget(&mut self) {
        self.eyes = Eyes::default();
        self.prefixes = Prefixes::default();
    }

    /// Forgets all that was read, but not what was seen.
    pub fn forget_prompts(&mut self) {
        self.prefixes = Prefixes::default();
    }

    /// Reads a prompt, or what of it was not read before.
    ///
    /// # Errors
    ///
    /// If the prompt does not suit the model, is longer than its context, or a picture cannot be read.
    pub fn read(&mut self, prompt: &Prompt) -> Result<State, FlamingoError> {
        let encoded = self.encode(prompt)?;
        let images = self.see(&encoded.media)?;
        Ok(self.read_seen(&encoded, images))
    }

    /// Looks at pictures and clips ahead of their prompt, so that it need not, and errors come now.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or the model sees nothing.
    pub fn look(&mut self, media: &[Medium]) -> Result<(), FlamingoError> {
        if let (Network::Language(_), [_, ..]) = (self.network(), media) {
            let what = "this is a language model alone, which sees no images".to_owned();
            return Err(FlamingoError::Prompt { what });
        }
        self.see(media)?;
        Ok(())
    }

    fn encode(&self, prompt: &Prompt) -> Result<Encoded, FlamingoError> {
        let encoded = self.pretrained.dialect.encode(prompt)?;
        self.network().check_ids(&encoded.ids)?;
        self.check_len(encoded.ids.len())?;
        Ok(encoded)
    }

    fn see(&mut self, media: &[Medium]) -> Result<Vec<Arc<Image>>, FlamingoError> {
        let start = Instant::now();
        let (images, new) = self.eyes.see(&self.pretrained.network, media)?;
        self.timings.images += start.elapsed();
        self.timings.new_images += new;
        Ok(images)
    }

    /// Reads a prompt whose images are these.
    fn read_seen(&mut self, encoded: &Encoded, images: Vec<Arc<Image>>) -> State {
        let Encoded { ids, media_index, .. } = encoded;
        let start = Instant::now();
        let network = &self.pretrained.network;
        let known = self.prefixes.longest(ids, media_index, &images);
        let reused = known.as_ref().map_or(0, State::len);
        let mut state = known.unwrap_or_else(|| State::new(network, ids.len() + SPACE));
        state.read(network, ids, media_index, images);
        self.prefixes.keep(state.clone());

        self.timings.prefill += start.elapsed();
        self.timings.prompt_tokens += ids.len();
        self.timings.reused_tokens += reused;
        state
    }

    /// Continues prompts, all at once; each as if it were alone.
    ///
    /// Where `options` name no stop ids, texts end with what ends a chunk or a text in this model; tokens that stand
    /// for images never come. No text becomes longer than what can be read behind the longest prompt.
    ///
    /// # Errors
    ///
    /// As [`Engine::read`] and [`generate::generate`].
    pub fn generate(
        &mut self,
        prompts: &[Prompt],
        options: &GenerateOptions,
    ) -> Result<Vec<Generated>, FlamingoError> {
        self.start();
        let encoded = prompts.iter().map(|prompt| self.encode(prompt)).collect::<Result<Vec<_>, _>>()?;
        // All at once: the encoder is faster on many.
        let media: Vec<Medium> = encoded.iter().flat_map(|encoded| encoded.media.iter().cloned()).collect();
        let mut images = self.see(&media)?.into_iter();
        let states: Vec<State> = encoded
            .iter()
            .map(|encoded| {
                let own = images.by_ref().take(encoded.media.len()).collect();
                self.read_seen(encoded, own)
            })
            .collect();
        let Some(longest) = states.iter().map(State::len).max() else { return Ok(Vec::new()) };
        let options = self.fitted(options, longest)?;
        let start = Instant::now();
        let mut rows = Rows::new(self.network(), &states, self.limit());
        let first = Scores::beside(states.iter().map(|state| state.scores(self.network())));
        let read: Vec<&[u32]> = states.iter().map(State::ids).collect();
        let texts = generate::generate(&mut rows, first, &read, &options, &self.pretrained.dialect)?;
        self.decoded(start.elapsed());
        Ok(texts)
    }

    /// Continues one prompt, and gives out each token as soon as it is decided.
    ///
    /// `options` are taken as they are; [`Engine::completed`] makes them what [`Engine::generate`] has.
    ///
    /// # Errors
    ///
    /// As [`Engine::read`] and [`generate::stream`].
    pub fn stream<'a>(
        &'a mut self,
        prompt: &Prompt,
        options: &'a GenerateOptions,
    ) -> Result<TokenStream<'a, Rows<'a>>, FlamingoError> {
        self.start();
        let state = self.read(prompt)?;
        let first = state.scores(self.network());
        let rows = Rows::new(self.network(), std::slice::from_ref(&state), self.limit());
        generate::stream(rows, first, state.ids(), options, &self.pretrained.dialect)
    }

    /// The options with this model's own ends (where none are named), without tokens that stand for images, and with
    /// no more new tokens than it can read behind `prompt`.
    ///
    /// # Errors
    ///
    /// If the prompt does not suit the model, or it can read nothing behind it.
    pub fn completed(
        &self,
        options: &GenerateOptions,
        prompt: &Prompt,
    ) -> Result<GenerateOptions, FlamingoError> {
        self.fitted(options, self.encode(prompt)?.ids.len())
    }

    /// [`Engine::completed`] for a prompt of `len` tokens.
    fn fitted(&self, options: &GenerateOptions, len: usize) -> Result<GenerateOptions, FlamingoError> {
        let dialect = &self.pretrained.dialect;
        let mut options = options.clone();
        if options.stop_ids.is_empty() {
            options.stop_ids = dialect.ends();
        }
        options.banned_ids.extend(dialect.around_images());
        // The last token is never read.
        let space = (self.limit() + 1).saturating_sub(len);
        if space == 0 {
            return Err(FlamingoError::TooLong { tokens: len + 1, context: self.limit() });
        }
        options.max_new_tokens = options.max_new_tokens.min(space);
        options.min_new_tokens = options.min_new_tokens.min(options.max_new_tokens);
        Ok(options)
    }

    fn network(&self) -> &Network {
        &self.pretrained.network
    }

    /// Most tokens that are read.
    fn limit(&self) -> usize {
        let config = self.network().lm().config();
        let ends = matches!(config.positions, Positions::Learned { .. });
        match self.limits {
            Limits::Ignored if !ends => usize::MAX - 1,
            Limits::Ignored | Limits::Trained => config.max_len,
        }
    }

    /// An error for a text that is longer than what is read.
    fn check_len(&self, tokens: usize) -> Result<(), FlamingoError> {
        let context = self.limit();
        match tokens <= context {
            true => Ok(()),
            false => Err(FlamingoError::TooLong { tokens, context }),
        }
    }

    /// A new call, for which time is taken.
    fn start(&mut self) {
        self.timings = Timings::default();
    }

    fn decoded(&mut self, time: Duration) {
        self.timings.decode += time;
    }
}
