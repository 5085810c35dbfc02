//! The engine on whole models: what is cached is what is computed anew, side by side is one by one, a stream is the
//! whole text; and greedy texts are those of the programs that the models come from.

use std::path::PathBuf;

use burn::tensor::Device;
use flamingo::engine::CandidateScore;
use flamingo::generate::{GenerateOptions, Generated};
use flamingo::{Engine, FlamingoError, Limits, MediaAttention, Medium, Network, Pretrained, Prompt, Source};
use serde_json::json;

use crate::published::{BASE_VOCAB, IDEFICS_VOCAB, Published, write_pixels};

/// Asked for are 1e-4.
const TOLERANCE: f32 = 2e-5;

/// A tiny published model, its token for an image, and what an answer never has.
struct Subject {
    published: Published,
    model: Pretrained,
    image: u32,
    banned: Vec<u32>,
}

fn subjects() -> Vec<Subject> {
    let device = Device::flex();
    let mut subjects = Vec::new();
    for seed in 0..2 {
        let published = Published::new(&format!("open-flamingo-{seed}"));
        let model = published.open(&device);
        let image = BASE_VOCAB as u32 + 1;
        subjects.push(Subject { published, model, image, banned: vec![image] });

        let published = Published::new(&format!("idefics-{seed}"));
        let model = published.open(&device);
        let image = IDEFICS_VOCAB as u32 + 1;
        subjects.push(Subject { published, model, image, banned: vec![image - 1, image] });
    }
    // The paper's ablation: every image so far is seen.
    let mut all_previous: Vec<Subject> = Vec::new();
    for subject in &subjects[..1] {
        let mut model = subject.model.clone();
        if let Network::Flamingo { model, .. } = &mut model.network {
            **model = model.as_ref().clone().with_attention(MediaAttention::AllPrevious);
        }
        let published = Published::new("open-flamingo-0");
        all_previous.push(Subject { published, model, image: subject.image, banned: subject.banned.clone() });
    }
    subjects.extend(all_previous);
    subjects
}

impl Subject {
    fn engine(&self) -> Engine {
        Engine::new(self.model.clone())
    }

    /// Nothing ends a text before its length.
    fn options(&self, max_new_tokens: usize) -> GenerateOptions {
        GenerateOptions {
            max_new_tokens,
            stop_ids: vec![self.image],
            banned_ids: self.banned.clone(),
            ..GenerateOptions::default()
        }
    }

    /// A text of these letters: `|` for the next image, digits and letters for tokens.
    fn prompt(&self, text: &str, first_picture: usize) -> Prompt {
        let Network::Flamingo { preprocess, .. } = &self.model.network else { unreachable!() };
        let ids = text.bytes().map(|byte| match byte {
            b'|' => self.image,
            letter => u32::from(letter - b'a'),
        });
        let pictures = (first_picture..).take(text.matches('|').count());
        let media =
            pictures.map(|index| Medium::Image(Source::File(self.published.picture(index, preprocess.size))));
        Prompt::Tokens { ids: ids.collect(), media: media.collect() }
    }
}

fn same(one: &Generated, other: &Generated) {
    assert_eq!((&one.tokens, &one.text, one.ending), (&other.tokens, &other.text, other.ending));
    for (one, other) in one.logprobs.iter().zip(&other.logprobs) {
        assert!((one - other).abs() < TOLERANCE, "{one} and {other}");
    }
}

/// `cargo xtask parity` runs this.
mod parity {
    use super::*;

    #[test]
    fn greedy_texts_are_those_of_the_reference() {
        for subject in &subjects()[..4] {
            let fixture = &subject.published.fixture;
            let device = Device::flex();
            let expected: Vec<u32> =
                fixture.tensor::<2>("out.greedy", &device).into_data().iter::<u32>().collect();
            let (prompt, expected) = expected.split_at(expected.len() - 20);
            let pixels = subject.published.checkpoint.read("in.pixels").unwrap();
            let (media, size) = (pixels.shape()[1], pixels.shape()[pixels.shape().len() - 1]);
            let values: Vec<f32> = pixels.iter().collect();
            let files: Vec<PathBuf> = values
                .chunks(3 * size * size)
                .take(media)
                .enumerate()
                .map(|(index, image)| {
                    let path = subject.published.folder.path().join(format!("row-{index}.safetensors"));
                    write_pixels(&path, image, size);
                    path
                })
                .collect();
            let images = prompt.iter().filter(|id| **id == subject.image).count();
            let prompt = json!({"token_ids": prompt, "images": files[..images]}).to_string();
            let prompt = Prompt::from_json(&prompt, subject.published.folder.path()).unwrap();
            let text = subject.engine().generate(&[prompt], &subject.options(20)).unwrap().remove(0);
            fixture.origin().assert_equal("tokens by the engine", &text.tokens, expected);
        }
    }
}

#[test]
fn what_was_read_before_is_not_read_again_and_changes_nothing() {
    for subject in subjects() {
        let mut engine = subject.engine();
        let options = subject.options(6);
        // A query behind examples; another one; turns of a conversation, with an image in the second; one taken back.
        let conversation =
            ["b|cd|efb|gh", "b|cd|efb|ihj", "b|cd|efb|ihjk|dc", "b|cd|efb|ihjk|dcab", "b|cd|ef"];
        for (turn, text) in conversation.into_iter().enumerate() {
            let prompt = subject.prompt(text, 0);
            let cached = engine.generate(std::slice::from_ref(&prompt), &options).unwrap().remove(0);
            let timings = engine.timings();
            assert_eq!(timings.prompt_tokens, text.len());
            assert_eq!(timings.reused_tokens > 0, turn > 0, "{turn}: {timings:?}");
            same(&cached, &subject.engine().generate(&[prompt], &options).unwrap()[0]);
        }
        assert_eq!(engine.timings().new_images, 0);

        // The same tokens behind another image are another text.
        let other = subject.prompt("b|cd|ef", 5);
        let text = engine.generate(std::slice::from_ref(&other), &options).unwrap().remove(0);
        assert_eq!((engine.timings().reused_tokens, engine.timings().new_images), (1, 2));
        same(&text, &subject.engine().generate(&[other], &options).unwrap()[0]);
    }
}

#[test]
fn side_by_side_is_one_by_one() {
    for subject in subjects() {
        let texts = ["b|cd|efgh", "bcdef", "|c", "a|b|c|d", "bbbbbbbbbbbb|"];
        let prompts: Vec<Prompt> =
            texts.iter().enumerate().map(|(index, text)| subject.prompt(text, index)).collect();
        let mut engine = subject.engine();
        for beams in [1, 3] {
            let options = GenerateOptions { beams, ..subject.options(7) };
            let together = engine.generate(&prompts, &options).unwrap();
            for (prompt, text) in prompts.iter().zip(&together) {
                let alone = subject.engine().generate(std::slice::from_ref(prompt), &options).unwrap();
                same(text, &alone[0]);
            }
        }
        // Drawn texts, too: what a row draws does not depend on how long its neighbours are.
        let options = GenerateOptions { temperature: 1.5, seed: 3, ..subject.options(7) };
        let together = engine.generate(&prompts, &options).unwrap();
        assert_eq!(together, engine.generate(&prompts, &options).unwrap());
        same(&together[0], &subject.engine().generate(&prompts[..1], &options).unwrap()[0]);
    }
}

#[test]
fn a_stream_is_the_whole_text() {
    for subject in subjects() {
        let prompt = subject.prompt("b|cd|efgh", 0);
        let options = subject.options(8);
        let whole = subject.engine().generate(std::slice::from_ref(&prompt), &options).unwrap().remove(0);
        let mut engine = subject.engine();
        let mut stream = engine.stream(&prompt, &options).unwrap();
        let mut text = String::new();
        for token in &mut stream {
            text += &token.unwrap().text;
        }
        assert_eq!(text, whole.text);
        same(&stream.finish(), &whole);
    }
}

#[test]
fn candidates_score_as_whole_texts_do() {
    for subject in subjects() {
        let Prompt::Tokens { ids, media } = subject.prompt("b|cd|ef", 0) else { unreachable!() };
        let prompt = Prompt::Tokens { ids: ids.clone(), media: media.clone() };
        let tails: Vec<Vec<u32>> = vec![vec![3], vec![4, 5, 6], vec![4, 5], vec![], vec![3]];
        let scores: Vec<CandidateScore> = subject.engine().token_candidates(&prompt, &tails).unwrap();
        let known = subject.model.score(&prompt).unwrap().sum;
        for (tail, score) in tails.iter().zip(&scores) {
            assert_eq!(&score.tokens, tail);
            let whole = Prompt::Tokens { ids: [ids.clone(), tail.clone()].concat(), media: media.clone() };
            let expected = subject.model.score(&whole).unwrap().sum - known;
            assert!((score.sum() - expected).abs() < 1e-4, "{} and {expected}", score.sum());
        }
        assert_eq!(scores[0].logprobs, scores[4].logprobs);
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_unless_limits_are_off() {
    let subject = subjects().remove(0);
    let context = subject.model.network.lm().config().max_len;
    let prompt = subject.prompt(&"b".repeat(context), 0);
    let longer = subject.prompt(&"b".repeat(context + 1), 0);
    let options = subject.options(5);
    let mut engine = subject.engine();
    let error = engine.generate(std::slice::from_ref(&longer), &options).unwrap_err();
    assert!(matches!(error, FlamingoError::TooLong { tokens, .. } if tokens == context + 1));
    // What fits is read, and a text goes on as far as it can.
    assert_eq!(engine.generate(&[prompt], &options).unwrap()[0].tokens.len(), 1);
    let mut engine = subject.engine().with_limits(Limits::Ignored);
    assert_eq!(engine.generate(&[longer], &options).unwrap()[0].tokens.len(), 5);
}
