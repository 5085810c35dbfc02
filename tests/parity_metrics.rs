//! Metrics against pycocoevalcap, the VQA evaluation of open_flamingo, and scikit-learn.
//!
//! Inputs are drawn from `parity/captions.txt` by the generator that `parity/metrics.py` has, too.

use burn::tensor::{Device, Tensor};
use flamingo_eval::metrics::average_precision::{Ranked, average_precision};
use flamingo_eval::metrics::bleu::Bleu;
use flamingo_eval::metrics::cider::Cider;
use flamingo_eval::metrics::ndcg::Ndcg;
use flamingo_eval::metrics::roc_auc::RocAuc;
use flamingo_eval::metrics::rouge::RougeL;
use flamingo_eval::metrics::tokens::{Caption, References};
use flamingo_eval::metrics::vqa::{Answer, vqa_accuracy};
use flamingo_eval::metrics::{Measure, accuracy, ptb};
use flamingo_testkit::Fixture;

const CAPTIONS: &str = include_str!("parity/captions.txt");
const CASES: usize = 200;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// Words at random.
    fn composed(&mut self, words: &[&str], most: usize) -> String {
        let parts: Vec<&str> = (0..self.below(most + 1)).map(|_| self.pick(words)).collect();
        parts.join(" ")
    }

    /// The same; one text in eight has no spaces between its words.
    fn glued(&mut self, words: &[&str], most: usize) -> String {
        let text: Vec<&str> = (0..self.below(most + 1)).map(|_| self.pick(words)).collect();
        text.join(if self.below(8) == 0 { "" } else { " " })
    }
}

fn words_of(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ').filter(|word| !word.is_empty())
}

/// Every word once, in order.
fn vocabulary() -> Vec<&'static str> {
    let mut words: Vec<&str> = Vec::new();
    for word in CAPTIONS.lines().flat_map(words_of) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

fn checksum(text: &str) -> f64 {
    let step = |sum: u32, byte: u8| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    f64::from(text.bytes().fold(0x811C_9DC5, step) & 0x00FF_FFFF)
}

fn compare(fixture: &Fixture, key: &str, values: &[f64], tolerance: f32) {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    fixture.assert_close(key, Tensor::<1>::from_floats(values.as_slice(), &Device::flex()), tolerance);
}

#[test]
fn tokens_are_those_of_stanfords_tokenizer() {
    let fixture = Fixture::load("ptb");
    let mut random = Random(1);
    let words = vocabulary();
    let lines: Vec<Vec<&str>> = CAPTIONS.lines().map(|line| vec![line]).collect();
    let alone: Vec<Vec<&str>> = CAPTIONS.lines().map(|line| words_of(line).collect()).collect();
    let composed: Vec<String> = (0..CASES).map(|_| random.composed(&words, 12)).collect();
    let composed: Vec<Vec<&str>> = composed.iter().map(|text| vec![text.as_str()]).collect();
    for (key, groups) in [("out.lines", lines), ("out.words", alone), ("out.composed", composed)] {
        let mut all = ptb::tokenize_all(groups.iter().flatten().copied()).into_iter();
        let sums = groups.iter().map(|texts| {
            let texts = all.by_ref().take(texts.len()).map(|it| it.tokens().join(" "));
            let texts = texts.collect::<Vec<_>>().join("\n");
            println!("{key} {texts:?}");
            checksum(&texts)
        });
        compare(&fixture, key, &sums.collect::<Vec<_>>(), 0.0);
    }
}

#[test]
fn captions_score_as_by_pycocoevalcap() {
    let fixture = Fixture::load("captioning");
    let mut random = Random(2);
    let words = vocabulary();
    let (mut captions, mut references) = (Vec::new(), Vec::new());
    for _ in 0..CASES {
        let own: Vec<&str> = (0..8).map(|_| random.pick(&words)).collect();
        captions.push(random.composed(&own, 12));
        let them: Vec<String> = (0..1 + random.below(5)).map(|_| random.composed(&own, 12)).collect();
        references.push(them);
    }
    let captions = ptb::tokenize_all(captions.iter().map(String::as_str));
    let mut all = ptb::tokenize_all(references.iter().flatten().map(String::as_str)).into_iter();
    let references = references.iter().map(|them| all.by_ref().take(them.len()).collect::<Vec<Caption>>());
    let references = References::new(references.collect());
    let mut corpus = Vec::new();
    let mut check = |key: &str, measure: &dyn Measure| {
        compare(&fixture, key, measure.each().unwrap(), 1e-6);
        corpus.push(measure.score().unwrap());
    };
    check("out.cider", &Cider::new(&captions, &references).unwrap());
    for size in 1..=4 {
        check(&format!("out.bleu_{size}"), &Bleu::new(size, &captions, &references).unwrap());
    }
    check("out.rouge_l", &RougeL::new(&captions, &references).unwrap());
    compare(&fixture, "out.corpus", &corpus, 1e-6);
}

#[test]
fn answers_score_as_by_open_flamingo() {
    let fixture = Fixture::load("vqa");
    let mut random = Random(3);
    let words = vocabulary();
    let (mut predictions, mut people) = (Vec::new(), Vec::new());
    for _ in 0..CASES {
        let choices: Vec<String> = (0..3).map(|_| random.glued(&words, 3)).collect();
        let numbered = random.below(2) == 0;
        let answer = |number: usize| {
            let text = choices[random.below(3)].clone() + ["", ".", " ", "!"][random.below(4)];
            let mark = if numbered { number } else { random.below(2) }.to_string();
            Answer { text, mark }
        };
        people.push((0..10).map(answer).collect::<Vec<_>>());
        predictions.push(choices[random.below(3)].clone());
    }
    let predictions: Vec<&str> = predictions.iter().map(String::as_str).collect();
    let found = vqa_accuracy(&predictions, &people).unwrap();
    compare(&fixture, "out.vqa", found.each().unwrap(), 1e-6);
}

#[test]
fn rankings_score_as_by_scikit_learn() {
    let fixture = Fixture::load("ranking");
    let mut random = Random(4);
    let mut found: [Vec<f64>; 4] = Default::default();
    for _ in 0..CASES {
        let count = 2 + random.below(30);
        let scores: Vec<f64> = (0..count).map(|_| random.below(10) as f64 / 8.0).collect();
        let labels: Vec<bool> = (0..count).map(|it| it == 0 || it > 1 && random.below(2) == 1).collect();
        let weights: Vec<f64> = (0..count).map(|_| 1.0 / (1 + random.below(3)) as f64).collect();
        found[0].push(RocAuc::new(&scores, &labels).unwrap().score().unwrap());
        let ranked =
            (0..count).map(|it| Ranked { score: scores[it], positive: labels[it], weight: weights[it] });
        found[1].push(average_precision(ranked.collect()).unwrap());

        let count = 2 + random.below(20);
        let scores: Vec<f64> = (0..count).map(|_| random.below(1 << 40) as f64).collect();
        let gain = |it| if it == 0 { 1.0 } else { random.below(5) as f64 / 4.0 };
        let relevance: Vec<f64> = (0..count).map(gain).collect();
        found[2].push(Ndcg::new(&[scores], &[relevance]).unwrap().score().unwrap());

        let count = 3 + random.below(6);
        let scores: Vec<f64> = (0..count).map(|_| random.below(5) as f64 / 4.0).collect();
        let (k, right) = (1 + random.below(count - 1), random.below(count));
        found[3].push(accuracy::top_k(k, &[scores], &[right]).unwrap().score().unwrap());
    }
    for (key, values) in ["roc_auc", "average_precision", "ndcg", "top_k"].iter().zip(&found) {
        compare(&fixture, &format!("out.{key}"), values, 1e-6);
    }
}
