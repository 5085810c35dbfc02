//! Asks a model the questions of a probe.

use flamingo::engine::CandidateScore;
use flamingo::generate::GenerateOptions;
use flamingo::{Dialect, Engine, Limits, Network, Pretrained};
use flamingo_core::seed::{derive, word};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::probe::Kind;
use super::{Control, Probe, Question};
use crate::EvalError;
use crate::metrics::cider::Cider;
use crate::metrics::tokens::References;
use crate::metrics::{Mean, Measure, ptb};

/// Tokens of a caption at most.
const CAPTION_TOKENS: usize = 16;

/// A model, and its language model alone.
pub(super) struct Asker {
    whole: Engine,
    language: Option<Engine>,
}

impl Asker {
    /// Prompts may be longer than what the model was trained to read: how well it does then is a finding, no mistake.
    pub fn new(model: Pretrained) -> Self {
        let engine = |model: Pretrained| Engine::new(model).with_limits(Limits::Ignored);
        let language = match &model.network {
            Network::Flamingo { model: flamingo, .. } => {
                let network = Network::Language(Box::new(flamingo.lm.clone()));
                Some(engine(Pretrained { network, ..model.clone() }))
            }
            Network::Language(_) => None,
        };
        Self { whole: engine(model), language }
    }

    pub fn dialect(&self) -> &Dialect {
        &self.whole.pretrained().dialect
    }

    /// Asks at most so many questions of `probe`; nothing where the control makes no sense.
    pub fn ask(
        &mut self,
        probe: &Probe,
        control: Control,
        most: usize,
        seed: u64,
    ) -> Result<Option<Box<dyn Measure>>, EvalError> {
        let engine = match (control, &mut self.language) {
            // Without images, a language model alone has been asked already.
            (Control::TextOnly, None) => return Ok(None),
            (Control::TextOnly, Some(language)) => language,
            _ => &mut self.whole,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(derive(seed, [word(&probe.task), word(control.name())]));
        let count = probe.questions.len().min(most);
        if count == 0 {
            return Ok(None);
        }
        let asked = (0..count).map(|index| {
            let question = &probe.questions[index];
            control.apply(question, probe.kind, another(&probe.questions, index, &mut rng), &mut rng)
        });
        let asked: Vec<Question> = asked.collect();
        Ok(Some(match probe.kind {
            Kind::Caption => captions(engine, probe, &asked)?,
            _ => Box::new(Mean(
                asked
                    .iter()
                    .map(|question| {
                        Ok(f64::from(u8::from(choose(engine, probe, question)? == question.answer)))
                    })
                    .collect::<Result<_, EvalError>>()?,
            )),
        }))
    }
}

/// A question with another right answer than that at `index`, if there is one.
fn another<'a>(questions: &'a [Question], index: usize, rng: &mut impl Rng) -> &'a Question {
    let right = &questions[index].query.answer;
    let start = rng.random_range(0..questions.len());
    let others = (0..questions.len()).map(|step| &questions[(start + step) % questions.len()]);
    others.into_iter().find(|other| other.query.answer != *right).unwrap_or(&questions[index])
}

/// The place of the likeliest choice.
fn choose(engine: &mut Engine, probe: &Probe, question: &Question) -> Result<usize, EvalError> {
    let prompt = probe.template.prompt(&engine.pretrained().dialect, &question.shots, &question.query);
    let lead = probe.template.lead();
    let choices: Vec<String> = question.choices.iter().map(|choice| format!("{lead}{choice}")).collect();
    let scores = match probe.kind {
        Kind::Name => engine.candidates(&prompt, &choices)?,
        _ => engine.ended_candidates(&prompt, &choices)?,
    };
    let score = |candidate: &CandidateScore| match probe.kind {
        Kind::Name => candidate.mean(),
        _ => candidate.sum(),
    };
    let best = scores.iter().map(score).enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    Ok(best.map_or(0, |(index, _)| index))
}

fn captions(engine: &mut Engine, probe: &Probe, asked: &[Question]) -> Result<Box<dyn Measure>, EvalError> {
    let options = GenerateOptions { max_new_tokens: CAPTION_TOKENS, beams: 3, ..GenerateOptions::default() };
    let mut texts = Vec::with_capacity(asked.len());
    for question in asked {
        let prompt = probe.template.prompt(&engine.pretrained().dialect, &question.shots, &question.query);
        texts.extend(engine.generate(&[prompt], &options)?.into_iter().map(|generated| generated.text));
    }
    let texts = ptb::tokenize_all(texts.iter().map(String::as_str));
    let references = ptb::tokenize_all(asked.iter().map(|question| question.query.answer.as_str()));
    let references = References::new(references.into_iter().map(|reference| vec![reference]).collect());
    Ok(Box::new(Cider::new(&texts, &references)?))
}
