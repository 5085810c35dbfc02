//! The engine against the programs that its models come from, prompts of text and several images: the same texts, alone
//! and side by side. And against itself: what it says token by token is what one pass over the whole text says.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use flamingo::dialect::Style;
use flamingo::generate::{BeamRules, GenerateOptions, Generated};
use flamingo::{Dialect, Engine, FlamingoConfig, MediaLayout, Medium, Network, Pretrained, Prompt, Source};
use serde::Deserialize;

use crate::invariants::open_gates;
use crate::published::{Published, picture, pixels};

/// Of scores and log-probabilities, in nats.
const TOLERANCE: f64 = 1e-4;

/// A text, and the numbers of the pictures in it.
#[derive(Debug, Clone, Deserialize)]
struct Query {
    ids: Vec<u32>,
    pictures: Vec<usize>,
}

/// A model, and a folder for pictures.
struct Subject {
    model: Pretrained,
    folder: tempfile::TempDir,
}

impl Subject {
    /// A tiny published model.
    fn published(name: &str) -> Self {
        let published = Published::new(name);
        Self { model: published.open(&Device::flex()), folder: published.folder }
    }

    /// Our own smallest model, with random weights and open gates.
    fn nano() -> Self {
        let device = Device::flex();
        device.seed(11);
        let config = FlamingoConfig::nano();
        let network = Network::Flamingo {
            model: Box::new(open_gates(config.init(&device).unwrap())),
            preprocess: config.preprocess,
        };
        let image = config.lm.vocab as u32;
        let dialect = Dialect::of_ids(Style::Paper, Some(image), Some(image + 1));
        Self {
            model: Pretrained { network, dialect, reports: Vec::new() },
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// All of them, with a name each.
    fn all() -> Vec<(&'static str, Self)> {
        let names = ["open-flamingo-0", "open-flamingo-1", "idefics-0", "idefics-1"];
        let published = names.into_iter().map(|name| (name, Self::published(name)));
        published.chain([("nano", Self::nano())]).collect()
    }

    fn size(&self) -> usize {
        let Network::Flamingo { preprocess, .. } = &self.model.network else { unreachable!() };
        preprocess.size
    }

    fn prompt(&self, query: &Query) -> Prompt {
        let file = |index: &usize| Source::File(picture(self.folder.path(), *index, self.size()));
        let media = query.pictures.iter().map(|index| Medium::Image(file(index)));
        Prompt::Tokens { ids: query.ids.clone(), media: media.collect() }
    }

    /// A text of these letters: `|` for the next of `pictures`, letters for tokens.
    fn query(&self, text: &str, pictures: &[usize]) -> Query {
        let image = self.model.dialect.image().unwrap();
        let id = |letter: u8| if letter == b'|' { image } else { u32::from(letter - b'a') };
        Query { ids: text.bytes().map(id).collect(), pictures: pictures.to_vec() }
    }

    /// Log-probabilities of every token behind each of a text's: all images in one batch, the text in one pass.
    fn at_once(&self, query: &Query) -> Vec<Vec<f64>> {
        let Network::Flamingo { model, .. } = &self.model.network else { unreachable!() };
        let device = self.model.network.device();
        let (len, count, size) = (query.ids.len(), query.pictures.len(), self.size());
        let images: Vec<f32> = query.pictures.iter().flat_map(|index| pixels(*index, size)).collect();
        let images = Tensor::from_data(TensorData::new(images, [1, count, 1, 3, size, size]), &device);
        let ids: Vec<i32> = query.ids.iter().map(|id| *id as i32).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, len]), &device);
        let layout = MediaLayout::new(&self.model.dialect.media_index(&query.ids), 1, len, &device);
        let media = model.media(model.visual_tokens(images));
        let hidden = model.hidden_with(ids, &model.see(&media, &layout));
        let log_probs: Vec<f64> = log_softmax(model.lm.logits(hidden), 2).into_data().iter::<f64>().collect();
        log_probs.chunks(log_probs.len() / len).map(<[f64]>::to_vec).collect()
    }
}

/// The engine's log-probabilities of every token behind the first `len` tokens of a text.
fn next(engine: &mut Engine, subject: &Subject, query: &Query, len: usize) -> Vec<f64> {
    let image = subject.model.dialect.image().unwrap();
    let ids = query.ids[..len].to_vec();
    let images = ids.iter().filter(|id| **id == image).count();
    let prompt = subject.prompt(&Query { ids, pictures: query.pictures[..images].to_vec() });
    let config = subject.model.network.lm().config();
    let every: Vec<[u32; 1]> = (0..(config.vocab + config.new_tokens) as u32).map(|id| [id]).collect();
    let scores = engine.token_candidates(&prompt, &every).unwrap();
    scores.iter().map(|score| score.sum()).collect()
}

/// The largest difference.
fn farthest<'a>(some: impl IntoIterator<Item = &'a f64>, other: impl IntoIterator<Item = &'a f64>) -> f64 {
    some.into_iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn what_is_read_in_pieces_is_what_is_read_at_once() {
    for (name, subject) in Subject::all() {
        let query = subject.query("bd|cfa|hijb|kcd", &[3, 1, 8]);
        let expected = subject.at_once(&query);
        let other = subject.at_once(&Query { pictures: vec![3, 1, 9], ..query.clone() });
        assert!(farthest(&other[14], &expected[14]) > 100.0 * TOLERANCE, "the last image hardly matters");
        // Two turns, the second of which adds images; and a turn for each token.
        let turns: [Vec<usize>; 2] = [vec![6, query.ids.len()], (1..=query.ids.len()).collect()];
        for turns in turns {
            let mut engine = Engine::new(subject.model.clone());
            let (mut read, mut worst) = (0, 0.0f64);
            for len in turns {
                let found = next(&mut engine, &subject, &query, len);
                assert_eq!(engine.timings().reused_tokens, read);
                assert_eq!(found.len(), expected[len - 1].len());
                worst = worst.max(farthest(&found, &expected[len - 1]));
                read = len;
            }
            println!("{name}: within {worst:.1e}");
            assert!(worst < TOLERANCE, "{name}: {worst}");
        }
    }
}

#[test]
fn what_is_generated_side_by_side_is_what_is_read_at_once() {
    for (name, subject) in Subject::all() {
        let queries = [("bd|cfa|hijb|kcd", &[3, 1, 8][..]), ("|c", &[5]), ("abcd|", &[3]), ("|a|b", &[8, 0])];
        let queries = queries.map(|(text, pictures)| subject.query(text, pictures));
        let prompts: Vec<Prompt> = queries.iter().map(|query| subject.prompt(query)).collect();
        let image = subject.model.dialect.image().unwrap();
        for beams in [1, 3] {
            // Nothing ends a text before its length.
            let options = GenerateOptions {
                beams,
                max_new_tokens: 9,
                stop_ids: vec![image],
                no_repeat_ngram: 2,
                ..GenerateOptions::default()
            };
            let texts = Engine::new(subject.model.clone()).generate(&prompts, &options).unwrap();
            let mut worst = 0.0f64;
            for (query, text) in queries.iter().zip(texts) {
                let Generated { tokens, logprobs, .. } = text;
                assert_eq!(tokens.len(), 9);
                let whole = Query { ids: [query.ids.clone(), tokens.clone()].concat(), ..query.clone() };
                let at_once = subject.at_once(&whole);
                let behind = at_once[query.ids.len() - 1..].iter().zip(&tokens);
                let expected: Vec<f64> = behind.map(|(scores, token)| scores[*token as usize]).collect();
                worst =
                    worst.max(farthest(&logprobs.into_iter().map(f64::from).collect::<Vec<_>>(), &expected));
            }
            println!("{name}, {beams} beams: within {worst:.1e}");
            assert!(worst < TOLERANCE, "{name}: {worst}");
        }
    }
}

/// What other programs generate.
mod parity {
    use std::collections::BTreeMap;

    use flamingo_testkit::Origin;

    use super::*;

    /// What `tests/parity/generation.py` wrote.
    #[derive(Deserialize)]
    struct Written {
        part: String,
        reference: String,
        /// Of each model.
        prompts: BTreeMap<String, Vec<Query>>,
        cases: Vec<Case>,
    }

    /// The texts of a model's prompts under one setting.
    #[derive(Debug, Deserialize)]
    struct Case {
        model: String,
        options: GenerateOptions,
        tokens: Vec<Vec<u32>>,
        /// With beams.
        scores: Vec<f32>,
    }

    fn check(name: &str, rules: BeamRules) {
        let fixture = format!("generation-{name}");
        let path = format!("{}/fixtures/{fixture}.json", env!("CARGO_MANIFEST_DIR"));
        let written: Written = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let origin = Origin { fixture, part: written.part, reference: written.reference };
        for (model, queries) in &written.prompts {
            let subject = Subject::published(model);
            let prompts: Vec<Prompt> = queries.iter().map(|query| subject.prompt(query)).collect();
            assert_eq!(prompts.len(), 20);
            let mut cases = 0;
            for case in written.cases.iter().filter(|case| case.model == *model) {
                // Shown if the test fails: the last one is where.
                println!("{case:?}");
                assert_eq!(case.options.beam_rules, rules);
                compare(&origin, &subject, &prompts, case);
                cases += 1;
            }
            assert_eq!(cases, 6);
        }
    }

    fn compare(origin: &Origin, subject: &Subject, prompts: &[Prompt], case: &Case) {
        let mut engine = Engine::new(subject.model.clone());
        let together = engine.generate(prompts, &case.options).unwrap();
        let alone = prompts.iter().map(|prompt| {
            engine.forget();
            engine.generate(std::slice::from_ref(prompt), &case.options).unwrap().remove(0)
        });
        let search = if case.options.beams > 1 { "beam" } else { "greedy" };
        for texts in [together, alone.collect()] {
            assert_eq!(texts.len(), case.tokens.len());
            for (text, tokens) in texts.iter().zip(&case.tokens) {
                origin.assert_equal(&format!("tokens by {search} search"), &text.tokens, tokens);
            }
            if case.options.beams > 1 {
                let scores: Vec<f32> = texts.iter().map(|text| text.score as f32).collect();
                origin.assert_within("scores of beams", &scores, &case.scores, TOLERANCE as f32);
            }
        }
    }

    #[test]
    fn texts_are_those_of_open_flamingo() {
        check("open-flamingo", BeamRules::Transformers435);
    }

    #[test]
    fn texts_are_those_of_transformers_idefics() {
        check("idefics", BeamRules::Transformers457);
    }
}
