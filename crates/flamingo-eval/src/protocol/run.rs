//! An evaluation from its queries to its scores.
//!
//! ```text
//! for each trial: support set ─▶ for each window of queries ─▶ look at media, choose examples ─▶ for each number of shots:
//!                                                              prompt ─▶ answer ─▶ journal
//! then: answers ─ cleaned ─▶ measure ─▶ score, interval
//! ```
//!
//! A query is asked with all numbers of shots at once, so that its own image, and random examples, which longer prompts have
//! in common with shorter ones, are read once.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::PathBuf;

use flamingo::engine::CandidateScore;
use flamingo::generate::GenerateOptions;
use flamingo::{Engine, FlamingoError, Medium, Network, Prompt};
use serde_json::{Value, json};

use super::choose::{Chooser, Given, similar, usable};
use super::draw;
use super::journal::{Answer, Journal, LeftOut, Role};
use super::pooled::PooledCache;
use super::result::{AnswerResult, ShotsResult, TaskResult, TrialResult, mean_and_deviation};
use super::settings::{Examples, Settings};
use super::wording::{Prompter, written};
use crate::EvalError;
use crate::files::FileRecord;
use crate::task::{Ask, Item, Items, Output, Target, Task};

/// Media that are looked at together.
const LOOKED_AT: usize = 64;
/// Queries that are asked together, at most.
const WINDOW: usize = 16;
/// Choices whose log-likelihoods are all written into a result.
const FEW_CHOICES: usize = 32;

/// An evaluation of a model by a task; see the [module documentation](super).
pub struct Protocol<'a> {
    /// The model.
    pub engine: &'a mut Engine,
    /// What is asked.
    pub task: &'a dyn Task,
    /// What the task read.
    pub items: &'a Items,
    /// How it is asked.
    pub settings: Settings,
    /// Which files the items come from.
    pub files: Vec<FileRecord>,
    /// Which model it is, as a result and a journal should know it.
    pub model: Value,
    /// The examples of [`Examples::Given`].
    pub given: Option<Given>,
    /// Where vectors for [`Examples::Similar`] are kept.
    pub features: Option<PathBuf>,
}

/// How far an evaluation is.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// What is done.
    pub stage: Stage,
    /// Answers that are there, or media that were looked at.
    pub done: usize,
    /// Of how many.
    pub of: usize,
    /// The present trial's scores so far, by number of shots; computed from time to time.
    pub scores: BTreeMap<usize, f64>,
}

/// What an evaluation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It looks at media, to know which are alike.
    Features,
    /// It asks.
    Answers,
}

/// Told of every step; it may ask to stop.
pub type Watch<'w> = dyn FnMut(&Standing) -> ControlFlow<()> + 'w;

impl<'a> Protocol<'a> {
    /// Of these; which files and model they are is not known.
    pub fn new(engine: &'a mut Engine, task: &'a dyn Task, items: &'a Items, settings: Settings) -> Self {
        let (files, model) = (Vec::new(), Value::Null);
        Self { engine, task, items, settings, files, model, given: None, features: None }
    }

    /// Everything that decides a score but for the examples.
    ///
    /// # Errors
    ///
    /// If a setting cannot be.
    pub fn decided(&self) -> Result<Value, EvalError> {
        self.settings.validate()?;
        let Settings { style, .. } = self.settings;
        let prompter = self.prompter()?;
        prompter.check(&self.settings)?;
        let ask = match prompter.ask(&self.settings) {
            Ask::Close { mean } => {
                json!({"close-ended": {"mean": mean, "tokenized-apart": prompter.apart()}})
            }
            Ask::Open { .. } => json!({"open-ended": prompter.options(&self.settings)}),
        };
        Ok(json!({
            "flamingo": env!("CARGO_PKG_VERSION"),
            "task": self.task.name(),
            "metric": self.task.metric(),
            "files": self.files,
            "model": self.model,
            "settings": self.settings,
            "support": self.settings.support_of(self.items),
            "given": self.given.as_ref().map(Given::sha256),
            "template": prompter.text,
            "ask": ask,
            "clean-up": format!("{} of {} in the style {}", self.task.name(), env!("CARGO_PKG_VERSION"), json!(style)),
            "items": {"support": self.items.support.len(), "queries": self.items.queries.len()},
        }))
    }

    /// Asks all queries that are not answered in `journal`, which was opened with [`Protocol::decided`], and scores all.
    /// `None` if `watch` asked to stop; what was answered until then is in the journal.
    ///
    /// # Errors
    ///
    /// If a setting cannot be, there are not enough examples, the media of too many queries cannot be read, a prompt is
    /// longer than the model's context, or the journal cannot be written.
    pub fn run(
        &mut self,
        journal: &mut Journal,
        watch: &mut Watch<'_>,
    ) -> Result<Option<TaskResult>, EvalError> {
        let decided = self.decided()?;
        self.sees()?;
        let prompter = self.prompter()?;
        let items = self.items;
        let queries = draw::queries(items.queries.len(), self.settings.queries, self.settings.seed);
        let usable = usable(&items.support);
        let Some(vectors) = self.vectors(&queries, &usable, journal, watch)? else { return Ok(None) };
        let missing = items.support.len() - usable.len();
        let mut work = Work {
            engine: self.engine,
            task: self.task,
            items,
            settings: &self.settings,
            prompter: &prompter,
            options: prompter.options(&self.settings),
            queries: &queries,
            missing,
            good: HashMap::new(),
            tails: None,
            done: 0,
        };
        let mut supports = HashMap::new();
        for seed in self.settings.seeds() {
            let size = self.settings.support_of(items);
            let support = draw::support(&items.support, &usable, size, seed);
            let chooser = match (self.settings.examples, &self.given) {
                (Examples::Random, _) => Chooser::Random(seed),
                (Examples::Same, _) => Chooser::Same(seed),
                (Examples::Similar, _) => {
                    let there = |place: &usize| Some((*place, vectors.support.get(place)?));
                    let support: Vec<(usize, &Vec<f32>)> = support.iter().filter_map(there).collect();
                    Chooser::Similar(similar(&vectors.queries, &support, self.settings.most_examples()))
                }
                (Examples::Given, Some(given)) => {
                    let places = support.iter().map(|place| (items.support[*place].id.as_str(), *place));
                    Chooser::Given(given, places.collect())
                }
                (Examples::Given, None) => {
                    let allowed = "given together with a list of examples";
                    return Err(EvalError::Setting { name: "examples", value: "given".to_owned(), allowed });
                }
            };
            if work.trial(seed, &support, &chooser, journal, watch)?.is_break() {
                return Ok(None);
            }
            supports.insert(seed, support.len());
        }
        let shots = self
            .settings
            .shots
            .iter()
            .map(|shots| self.shots(*shots, &queries, &supports, &prompter, journal));
        Ok(Some(TaskResult {
            task: self.task.name().to_owned(),
            metric: self.task.metric().to_owned(),
            decided,
            chance: self.task.chance(items),
            left_out: journal.left_out().to_vec(),
            support_missing: missing,
            shots: shots.collect::<Result<_, _>>()?,
        }))
    }

    fn prompter(&self) -> Result<Prompter, EvalError> {
        Prompter::new(self.task, self.settings.style, &self.engine.pretrained().dialect)
    }

    /// An error if there are media and the model sees none.
    fn sees(&self) -> Result<(), EvalError> {
        let blind = matches!(self.engine.pretrained().network, Network::Language(_));
        let items = self.items.queries.iter().chain(&self.items.support);
        match items.filter(|_| blind).find(|item| !item.media.is_empty()) {
            None => Ok(()),
            Some(item) => {
                let what = format!("item {:?} shows an image, and this is a language model alone", item.id);
                Err(FlamingoError::Prompt { what }.into())
            }
        }
    }

    /// What the encoder makes of the queries and the support set, if examples are chosen by it.
    fn vectors(
        &mut self,
        queries: &[usize],
        usable: &[usize],
        journal: &mut Journal,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Vectors>, EvalError> {
        let mut vectors = Vectors::default();
        if self.settings.examples != Examples::Similar {
            return Ok(Some(vectors));
        }
        let root = self.features.clone().or_else(|| Some(flamingo::core::cache::folder()?.join("rices")));
        let root = root.ok_or_else(|| EvalError::Setting {
            name: "features",
            value: "nothing".to_owned(),
            allowed: "a folder: nothing says where the user's cache folder is",
        })?;
        let network = &self.engine.pretrained().network;
        let mut cache = PooledCache::open(&root, network)?;
        let all: Vec<(Role, usize, &Item)> = queries
            .iter()
            .map(|place| (Role::Query, *place, &self.items.queries[*place]))
            .chain(usable.iter().map(|place| (Role::Support, *place, &self.items.support[*place])))
            .collect();
        let mut done = 0;
        // In pieces, so that it can be stopped.
        for piece in all.chunks(16 * LOOKED_AT) {
            let standing = Standing { stage: Stage::Features, done, of: all.len(), scores: BTreeMap::new() };
            if watch(&standing).is_break() {
                return Ok(None);
            }
            let media: Vec<&Medium> = piece.iter().filter_map(|(_, _, item)| item.media.first()).collect();
            let mut found = cache.vectors(network, &media)?.into_iter();
            for (role, place, item) in piece {
                let nothing = || Some(Err("it shows nothing that could be compared".to_owned()));
                let vector = if item.media.is_empty() { nothing() } else { found.next() };
                match (vector, role) {
                    (Some(Ok(vector)), Role::Query) => vectors.queries.push((*place, vector)),
                    (Some(Ok(vector)), Role::Support) => drop(vectors.support.insert(*place, vector)),
                    (Some(Err(what)), role) => {
                        journal.leave_out(LeftOut { role: *role, id: item.id.clone(), what })?
                    }
                    (None, _) => {}
                }
            }
            done += piece.len();
        }
        Ok(Some(vectors))
    }

    /// The scores with so many examples.
    fn shots(
        &self,
        shots: usize,
        queries: &[usize],
        supports: &HashMap<u64, usize>,
        prompter: &Prompter,
        journal: &Journal,
    ) -> Result<ShotsResult, EvalError> {
        let mut trials = Vec::new();
        let mut first_prompt = String::new();
        for seed in self.settings.seeds() {
            let asked = answered(self.items, queries, journal, seed, shots);
            if let (true, Some((query, answer))) = (first_prompt.is_empty(), asked.first()) {
                let by_id = |id: &String| self.items.support.iter().find(|item| item.id == *id);
                let examples: Vec<&Item> = answer.examples.iter().filter_map(by_id).collect();
                first_prompt = written(&prompter.prompt(&examples, shots == 0, query));
            }
            let support = supports.get(&seed).copied().unwrap_or(0);
            trials.push(self.trial(seed, support, &asked));
        }
        let scores: Vec<f64> = trials.iter().filter_map(|trial| trial.score).collect();
        let (mean, deviation) = mean_and_deviation(&scores).unzip();
        Ok(ShotsResult { shots, mean, deviation, first_prompt, trials })
    }

    fn trial(&self, seed: u64, support: usize, asked: &[(&Item, &Answer)]) -> TrialResult {
        let outputs: Vec<(&Item, Output)> = asked
            .iter()
            .map(|(item, answer)| (*item, cleaned(self.task, &self.settings, &answer.said)))
            .collect();
        let pairs: Vec<(&Item, &Output)> = outputs.iter().map(|(item, output)| (*item, output)).collect();
        let hidden = pairs.iter().any(|(item, _)| item.target == Target::Hidden);
        let measure = match hidden {
            true => Err("the right answers are not published".to_owned()),
            false => self.task.measure_in(self.items, &pairs).map_err(|error| error.to_string()),
        };
        let score = measure.as_ref().ok().and_then(|it| it.score());
        let interval = measure.as_ref().ok().and_then(|it| self.settings.bootstrap.interval(&**it));
        let each = measure.as_ref().ok().and_then(|it| it.each()).filter(|each| each.len() == asked.len());
        let answers = asked.iter().zip(&outputs).enumerate().map(|(place, ((item, answer), (_, output)))| {
            let choices = if item.choices.is_empty() { &self.items.choices } else { &item.choices };
            let (raw, text, scores) = match (&answer.said, output) {
                (Output::Text(raw), Output::Text(text)) => (Some(raw.clone()), Some(text.clone()), None),
                (_, Output::Scores(scores)) => (None, None, Some(scores)),
                (_, Output::Text(text)) => (None, Some(text.clone()), None),
            };
            let best = scores
                .and_then(|scores| (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b])));
            AnswerResult {
                query: item.id.clone(),
                examples: answer.examples.clone(),
                raw,
                cleaned: text,
                choice: best.and_then(|best| choices.get(best).cloned()),
                scores: scores.filter(|scores| scores.len() <= FEW_CHOICES).cloned(),
                score: each.map(|each| each[place]),
                output: output.clone(),
            }
        });
        TrialResult {
            seed,
            queries: asked.len(),
            support,
            score,
            unscored: measure.as_ref().err().cloned(),
            interval,
            answers: answers.collect(),
        }
    }
}

/// What was said to the queries, in their order.
fn answered<'j>(
    items: &'j Items,
    queries: &[usize],
    journal: &'j Journal,
    seed: u64,
    shots: usize,
) -> Vec<(&'j Item, &'j Answer)> {
    let of = |query: &usize| {
        let item = &items.queries[*query];
        Some((item, journal.answer(seed, shots, &item.id)?))
    };
    queries.iter().filter_map(of).collect()
}

fn cleaned(task: &dyn Task, settings: &Settings, said: &Output) -> Output {
    match said {
        Output::Text(text) => Output::Text(task.clean(settings.style, text)),
        scores => scores.clone(),
    }
}

/// Vectors by place, of what can be read.
#[derive(Default)]
struct Vectors {
    queries: Vec<(usize, Vec<f32>)>,
    support: HashMap<usize, Vec<f32>>,
}

/// What asking needs.
struct Work<'a> {
    engine: &'a mut Engine,
    task: &'a dyn Task,
    items: &'a Items,
    settings: &'a Settings,
    prompter: &'a Prompter,
    options: Option<GenerateOptions>,
    queries: &'a [usize],
    /// Items of the support set whose files are not there.
    missing: usize,
    /// Which items of the support set can be used, by place, as far as they were looked at.
    good: HashMap<usize, bool>,
    /// Ids of the choices that all items have.
    tails: Option<Vec<Vec<u32>>>,
    /// Answers that are there.
    done: usize,
}

/// A prompt that is due.
struct Due {
    query: usize,
    shots: usize,
    /// Places in the support set.
    examples: Vec<usize>,
}

impl Work<'_> {
    /// Asks what is not answered yet.
    fn trial(
        &mut self,
        seed: u64,
        support: &[usize],
        chooser: &Chooser<'_>,
        journal: &mut Journal,
        watch: &mut Watch<'_>,
    ) -> Result<ControlFlow<()>, EvalError> {
        // Some may have been found before.
        self.check_rejects(journal)?;
        let size = (LOOKED_AT / (self.settings.most_examples() + 1)).clamp(1, WINDOW);
        let of = self.queries.len() * self.settings.shots.len() * self.settings.trials;
        let (mut scores, mut next) = (BTreeMap::new(), 0);
        let queries = self.queries;
        for (number, window) in queries.chunks(size).enumerate() {
            let due = self.due(seed, window, support, chooser, journal)?;
            for batch in due.chunks(self.settings.batch) {
                let answers = self.answers(seed, batch)?;
                journal.add(answers)?;
            }
            self.done += window.len() * self.settings.shots.len();
            let asked = (number * size + window.len()).min(queries.len());
            if !due.is_empty() && asked >= next {
                scores = self.scores(&queries[..asked], seed, journal);
                next = asked + asked / 4 + 8;
            }
            let standing = Standing { stage: Stage::Answers, done: self.done, of, scores: scores.clone() };
            if watch(&standing).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The scores so far; where one is not defined for so few, it is not there.
    fn scores(&self, queries: &[usize], seed: u64, journal: &Journal) -> BTreeMap<usize, f64> {
        let of = |shots: &usize| {
            let asked = answered(self.items, queries, journal, seed, *shots);
            let outputs: Vec<(&Item, Output)> = asked
                .iter()
                .map(|(item, answer)| (*item, cleaned(self.task, self.settings, &answer.said)))
                .collect();
            let pairs: Vec<(&Item, &Output)> = outputs.iter().map(|(item, output)| (*item, output)).collect();
            if pairs.iter().any(|(item, _)| item.target == Target::Hidden) {
                return None;
            }
            Some((*shots, self.task.measure_in(self.items, &pairs).ok()?.score()?))
        };
        self.settings.shots.iter().filter_map(of).collect()
    }

    /// The prompts of a window that have no answer yet, each with its examples.
    fn due(
        &mut self,
        seed: u64,
        window: &[usize],
        support: &[usize],
        chooser: &Chooser<'_>,
        journal: &mut Journal,
    ) -> Result<Vec<Due>, EvalError> {
        let items = self.items;
        let mut open: Vec<(usize, usize)> = Vec::new();
        for query in window {
            let id = &items.queries[*query].id;
            let shots =
                self.settings.shots.iter().filter(|shots| journal.answer(seed, **shots, id).is_none());
            open.extend(shots.map(|shots| (*query, *shots)));
        }
        open.retain(|(query, _)| !is_left_out(journal, &items.queries[*query].id));
        // All at once: the encoder is faster on many. What is wrong is found one by one.
        let mut wanted = Vec::new();
        for (query, shots) in &open {
            wanted.extend(items.queries[*query].media.iter().cloned());
            if *shots > 0 {
                let places = chooser.candidates(items, support, *query, *shots)?.places();
                let places = places.filter(|place| self.good.get(place) != Some(&false)).take(*shots);
                wanted.extend(places.flat_map(|place| items.support[place].media.iter().cloned()));
            }
        }
        let all_seen = wanted.is_empty() || self.engine.look(&wanted).is_ok();
        let mut due: Vec<Due> = Vec::new();
        for (query, shots) in open {
            let item = &items.queries[query];
            if !all_seen && !self.query_is_good(item, journal)? {
                continue;
            }
            let examples = self.examples(query, shots, support, chooser, all_seen, journal)?;
            due.push(Due { query, shots, examples });
        }
        Ok(due)
    }

    fn query_is_good(&mut self, item: &Item, journal: &mut Journal) -> Result<bool, EvalError> {
        if is_left_out(journal, &item.id) {
            return Ok(false);
        }
        let Err(error) = self.engine.look(&item.media) else { return Ok(true) };
        journal.leave_out(LeftOut { role: Role::Query, id: item.id.clone(), what: error.to_string() })?;
        self.check_rejects(journal)?;
        Ok(false)
    }

    /// An error if too many queries are left out.
    fn check_rejects(&self, journal: &Journal) -> Result<(), EvalError> {
        let of = self.queries.len();
        let allowed = (self.settings.max_reject_rate * of as f64).floor() as usize;
        let mut rejected = journal.left_out().iter().filter(|it| it.role == Role::Query);
        let (first, rejected) = (rejected.next(), 1 + rejected.count());
        match first {
            Some(first) if rejected > allowed => {
                let first = format!("{}: {}", first.id, first.what);
                Err(EvalError::TooManyRejects { rejected, of, allowed, first })
            }
            _ => Ok(()),
        }
    }

    /// The places of a prompt's examples.
    fn examples(
        &mut self,
        query: usize,
        shots: usize,
        support: &[usize],
        chooser: &Chooser<'_>,
        all_seen: bool,
        journal: &mut Journal,
    ) -> Result<Vec<usize>, EvalError> {
        let count = if shots == 0 { self.prompter.text_only(0) } else { shots };
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut examples = Vec::with_capacity(count);
        for place in chooser.candidates(self.items, support, query, shots)?.places() {
            if examples.len() == count {
                break;
            }
            // Those without media need not be seen.
            if shots == 0 || self.example_is_good(place, all_seen, journal)? {
                examples.push(place);
            }
        }
        if examples.len() == count {
            return Ok(examples);
        }
        let mut out = journal.left_out().iter().filter(|it| it.role == Role::Support);
        let first = out.next().map(|it| format!("; the first left out is {}: {}", it.id, it.what));
        let missing = self.missing + out.count() + usize::from(first.is_some());
        let first = first.unwrap_or_default();
        Err(EvalError::Examples { shots: count, there: examples.len(), missing, first })
    }

    fn example_is_good(
        &mut self,
        place: usize,
        all_seen: bool,
        journal: &mut Journal,
    ) -> Result<bool, EvalError> {
        if let Some(good) = self.good.get(&place) {
            return Ok(*good);
        }
        let item = &self.items.support[place];
        let seen = if all_seen { Ok(()) } else { self.engine.look(&item.media) };
        self.good.insert(place, seen.is_ok());
        let Err(error) = seen else { return Ok(true) };
        journal.leave_out(LeftOut { role: Role::Support, id: item.id.clone(), what: error.to_string() })?;
        Ok(false)
    }

    /// Asks some prompts.
    fn answers(&mut self, seed: u64, batch: &[Due]) -> Result<Vec<Answer>, EvalError> {
        let said: Vec<Output> = match self.options.clone() {
            Some(options) => {
                let prompts: Vec<Prompt> = batch.iter().map(|due| self.prompt(due, &due.examples)).collect();
                let texts = self.engine.generate(&prompts, &options)?;
                texts.into_iter().map(|text| Output::Text(self.prompter.decoded(text.text))).collect()
            }
            None => batch.iter().map(|due| self.scored(seed, due)).collect::<Result<_, _>>()?,
        };
        let answer = |(due, said): (&Due, Output)| Answer {
            seed,
            shots: due.shots,
            query: self.items.queries[due.query].id.clone(),
            examples: due.examples.iter().map(|place| self.items.support[*place].id.clone()).collect(),
            said,
        };
        Ok(batch.iter().zip(said).map(answer).collect())
    }

    fn prompt(&self, due: &Due, examples: &[usize]) -> Prompt {
        let examples: Vec<&Item> = examples.iter().map(|place| &self.items.support[*place]).collect();
        self.prompter.prompt(&examples, due.shots == 0, &self.items.queries[due.query])
    }

    /// The choices' log-likelihoods, averaged over several orders of the examples.
    fn scored(&mut self, seed: u64, due: &Due) -> Result<Output, EvalError> {
        let query = &self.items.queries[due.query];
        let orders = match self.settings.ensemble {
            1 => vec![due.examples.clone()],
            count => draw::orders(&due.examples, count, seed, &query.id),
        };
        let Ask::Close { mean } = self.prompter.ask(self.settings) else {
            unreachable!("an open-ended task has options")
        };
        let candidates = self.prompter.candidates(self.items, query);
        let mut sums = vec![0.0; candidates.len()];
        for order in &orders {
            let prompt = self.prompt(due, order);
            let scores: Vec<CandidateScore> = match self.prompter.apart() {
                true => {
                    let tails = self.tails(query, &candidates)?;
                    let scores = self.engine.token_candidates(&self.prompter.tokens(&prompt)?, &tails);
                    self.tails = query.choices.is_empty().then_some(tails);
                    scores?
                }
                false => self.engine.candidates(&prompt, &candidates)?,
            };
            for (sum, score) in sums.iter_mut().zip(&scores) {
                *sum += if mean { score.mean() } else { score.sum() };
            }
        }
        Ok(Output::Scores(sums.into_iter().map(|sum| sum / orders.len() as f64).collect()))
    }

    /// Ids of the choices; those that all items have are made once.
    fn tails(&mut self, query: &Item, candidates: &[String]) -> Result<Vec<Vec<u32>>, EvalError> {
        if let Some(tails) = self.tails.take().filter(|_| query.choices.is_empty()) {
            return Ok(tails);
        }
        let dialect = &self.engine.pretrained().dialect;
        Ok(candidates.iter().map(|text| dialect.continuation(text)).collect::<Result<_, _>>()?)
    }
}

fn is_left_out(journal: &Journal, query: &str) -> bool {
    journal.left_out().iter().any(|it| it.role == Role::Query && it.id == query)
}
