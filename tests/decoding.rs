//! Decoding against `transformers`: the same models, prompts and settings give the same texts and scores, under the
//! rules of two of its versions; and what can be drawn is what it would draw from.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use flamingo::FlamingoError;
use flamingo::data::PretrainedTokenizer;
use flamingo::generate::{
    BeamRules, Ending, GenerateOptions, Generated, Reader, Scores, TextStream, generate, generate_n_best,
    sampling, stream,
};
use flamingo::lm::families::LanguageModel;
use flamingo::lm::{Decoder, NoHook, Padding};
use flamingo_testkit::Origin;
use flamingo_weights::Checkpoint;
use serde_json::Value;

fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn decoder(name: &str) -> Decoder {
    let checkpoint = Checkpoint::open(fixture(&format!("{name}.safetensors"))).unwrap();
    let config = checkpoint.metadata()["config.json"].as_str().unwrap();
    let model = LanguageModel::from_config(&serde_json::from_str(config).unwrap()).unwrap();
    let checkpoint = checkpoint.rename(|name| name.strip_prefix("weights.").map(str::to_owned)).unwrap();
    model.load(checkpoint, &Device::flex()).unwrap().0
}

/// Reads every text again from its beginning at each step.
struct Uncached<'a> {
    decoder: &'a Decoder,
    rows: Vec<Vec<u32>>,
    steps: usize,
}

impl<'a> Uncached<'a> {
    fn new(decoder: &'a Decoder, prompts: &[Vec<u32>]) -> (Self, Scores) {
        let reader = Self { decoder, rows: prompts.to_vec(), steps: 0 };
        let first = reader.scores();
        (reader, first)
    }

    fn scores(&self) -> Scores {
        let device = Device::flex();
        let lengths: Vec<usize> = self.rows.iter().map(Vec::len).collect();
        let (rows, len) = (lengths.len(), lengths.iter().copied().max().unwrap());
        let padded = |row: &Vec<u32>| {
            let text = row.iter().map(|id| *id as i32);
            std::iter::repeat_n(0, len - row.len()).chain(text).collect::<Vec<_>>()
        };
        let ids = TensorData::new(self.rows.iter().flat_map(padded).collect::<Vec<i32>>(), [rows, len]);
        let ids = Tensor::<2, Int>::from_data(ids, &device);
        let padding = Padding::left(&lengths, len, &device);
        let hidden = self.decoder.hidden_padded(ids, Some(&padding), &NoHook);
        let logits = self.decoder.logits(hidden.slice([0..rows, len - 1..len]));
        let vocab = logits.dims()[2];
        Scores::new(logits.into_data().iter().collect(), vocab)
    }
}

impl Reader for Uncached<'_> {
    fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Result<Scores, FlamingoError> {
        let longer = |(parent, token): (&usize, &u32)| {
            let mut row = self.rows[*parent].clone();
            row.push(*token);
            row
        };
        self.rows = parents.iter().zip(tokens).map(longer).collect();
        self.steps += 1;
        Ok(self.scores())
    }
}

fn numbers(ids: &[u32]) -> Result<String, FlamingoError> {
    Ok(ids.iter().map(|id| format!("{id} ")).collect())
}

/// The continuations of prompts that are read together.
fn found(decoder: &Decoder, prompts: &[Vec<u32>], options: &GenerateOptions) -> Vec<Vec<Generated>> {
    let (mut reader, first) = Uncached::new(decoder, prompts);
    generate_n_best(&mut reader, first, prompts, options, &numbers).unwrap()
}

fn tokens(texts: &[Generated]) -> Vec<&[u32]> {
    texts.iter().map(|text| text.tokens.as_slice()).collect()
}

/// What `transformers` generates; `cargo xtask parity` runs these.
mod parity {
    use super::*;

    /// What its script wrote, and where that comes from.
    fn read(version: &str) -> (Value, Origin) {
        let name = format!("decoding-{version}");
        let text = std::fs::read_to_string(fixture(&format!("{name}.json"))).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let origin = Origin::new(&name, |key| Some(file[key].as_str()?.to_owned()));
        (file, origin)
    }

    fn check(version: &str, rules: BeamRules) {
        let (file, origin) = read(version);
        let prompts: Vec<Vec<u32>> = serde_json::from_value(file["prompts"].clone()).unwrap();
        let models = ["lm-llama-untied-0", "lm-pythia-1"].map(|name| (name, decoder(name)));
        for case in file["cases"].as_array().unwrap() {
            let options: GenerateOptions = serde_json::from_value(case["options"].clone()).unwrap();
            let options = GenerateOptions { beam_rules: rules, ..options };
            let (_, decoder) = models.iter().find(|(name, _)| case["model"] == *name).unwrap();
            let together = found(decoder, &prompts, &options);
            for (place, (prompt, texts)) in prompts.iter().zip(together).enumerate() {
                // Shown if the test fails: the last one is where.
                println!("prompt {prompt:?} of {case}");
                let expected: Vec<u32> = serde_json::from_value(case["best"][place].clone()).unwrap();
                let mut best = texts[0].tokens.clone();
                if let (BeamRules::Transformers435, true, Some(end)) =
                    (rules, options.beams > 1, best.last_mut())
                    && texts[0].ending == Ending::StopId
                {
                    // Whichever came, the older version writes the first stop id behind a text.
                    *end = options.stop_ids[0];
                }
                let search = if options.beams > 1 { "beam" } else { "greedy" };
                origin.assert_equal(&format!("tokens by {search} search"), &best, &expected);
                if options.beams > 1 {
                    let expected: Vec<f32> = serde_json::from_value(case["scores"][place].clone()).unwrap();
                    let scores: Vec<f32> = texts.iter().map(|text| text.score as f32).collect();
                    origin.assert_within("scores of beams", &scores, &expected, 2e-4);
                }
                let alone = found(decoder, std::slice::from_ref(prompt), &options);
                assert_eq!(tokens(&alone[0]), tokens(&texts), "alone and together");
            }
        }
    }

    #[test]
    fn texts_are_those_of_transformers_4_35() {
        check("4.35", BeamRules::Transformers435);
    }

    #[test]
    fn texts_are_those_of_transformers_4_57() {
        check("4.57", BeamRules::Transformers457);
    }

    #[test]
    fn what_can_be_drawn_is_what_transformers_would_draw_from() {
        let (file, origin) = read("4.57");
        for case in file["filtered"].as_array().unwrap() {
            println!("{case}");
            let options: GenerateOptions = serde_json::from_value(case["options"].clone()).unwrap();
            let scores: Vec<f32> = serde_json::from_value(case["scores"].clone()).unwrap();
            let left: BTreeMap<u32, f32> = serde_json::from_value(case["left"].clone()).unwrap();
            let candidates = sampling::candidates(&scores, &options);
            let found: BTreeMap<u32, f32> =
                candidates.iter().map(|it| (it.id, it.probability as f32)).collect();
            let ids = |of: &BTreeMap<u32, f32>| of.keys().copied().collect::<Vec<_>>();
            origin.assert_equal("ids to draw from", &ids(&found), &ids(&left));
            let probabilities = |of: BTreeMap<u32, f32>| of.into_values().collect::<Vec<_>>();
            origin.assert_within("probabilities of them", &probabilities(found), &probabilities(left), 1e-6);
        }
    }
}

fn drawing(seed: u64) -> GenerateOptions {
    GenerateOptions { temperature: 1.3, top_p: 0.95, max_new_tokens: 12, seed, ..GenerateOptions::default() }
}

#[test]
fn a_seed_decides_the_text() {
    let decoder = decoder("lm-llama-untied-0");
    let prompts = [vec![1, 14, 3, 7], vec![5, 5, 2]];
    let texts = |seed| found(&decoder, &prompts, &drawing(seed));
    assert_eq!(texts(1), texts(1));
    assert_ne!(texts(1), texts(2));
}

#[test]
fn streamed_is_whole_and_log_probabilities_are_the_models() {
    let decoder = decoder("lm-pythia-1");
    let prompt = vec![5, 5, 2];
    let changed = GenerateOptions { banned_ids: vec![12], repetition_penalty: 1.3, ..drawing(3) };
    for options in [GenerateOptions { max_new_tokens: 9, ..GenerateOptions::default() }, drawing(3), changed]
    {
        let prompts = std::slice::from_ref(&prompt);
        let whole = found(&decoder, prompts, &options).remove(0).remove(0);
        let (reader, first) = Uncached::new(&decoder, prompts);
        let mut stream = stream(reader, first, &prompt, &options, &numbers).unwrap();
        let pieces: Vec<_> = stream.by_ref().collect::<Result<_, _>>().unwrap();
        assert_eq!(pieces.iter().map(|token| token.id).collect::<Vec<_>>(), whole.tokens);
        assert_eq!(pieces.iter().map(|token| token.text.as_str()).collect::<String>(), whole.text);
        assert_eq!(stream.finish(), whole);
        assert_eq!((whole.text, whole.ending), (numbers(&whole.tokens).unwrap(), Ending::Length));

        let text: Vec<i32> = prompt.iter().chain(&whole.tokens).map(|id| *id as i32).collect();
        let ids = Tensor::<1, Int>::from_data(text.as_slice(), &Device::flex()).unsqueeze();
        let logprobs = burn::tensor::activation::log_softmax(decoder.forward(ids, &NoHook), 2);
        let vocab = logprobs.dims()[2];
        let logprobs: Vec<f32> = logprobs.into_data().iter().collect();
        for (place, (token, logprob)) in whole.tokens.iter().zip(&whole.logprobs).enumerate() {
            let expected = logprobs[(prompt.len() - 1 + place) * vocab + *token as usize];
            assert!((logprob - expected).abs() < 1e-5, "{logprob} for {expected}");
        }
    }
}

#[test]
fn a_finished_text_is_read_no_further() {
    let decoder = decoder("lm-llama-untied-0");
    let prompts = [vec![1, 14, 3, 7], vec![11]];
    let (mut reader, first) = Uncached::new(&decoder, &prompts);
    let options = GenerateOptions { stop_ids: vec![18], ..GenerateOptions::default() };
    let texts = generate(&mut reader, first, &prompts, &options, &numbers).unwrap();
    // Greedily, 15 11 15 18 and 18.
    assert_eq!(texts.iter().map(|text| text.tokens.len()).collect::<Vec<_>>(), [4, 1]);
    assert!(texts.iter().all(|text| text.ending == Ending::StopId));
    assert_eq!((texts[0].text.as_str(), texts[1].text.as_str()), ("15 11 15 ", ""));
    assert_eq!((reader.steps, reader.rows.len()), (3, 1));
}

#[test]
fn stop_strings_end_texts_with_and_without_beams() {
    let decoder = decoder("lm-llama-untied-0");
    let prompts = [vec![1, 14, 3, 7]];
    for beams in [1, 3] {
        let free = GenerateOptions { beams, max_new_tokens: 12, ..GenerateOptions::default() };
        let text = found(&decoder, &prompts, &free).remove(0).remove(0).text;
        // The second 15 of the text, and the space before it.
        let (place, _) = text.match_indices(" 15").next().unwrap();
        let options = GenerateOptions { stop_strings: vec![" 15".to_owned()], ..free };
        for text in found(&decoder, &prompts, &options).remove(0) {
            match text.ending {
                Ending::StopString => {
                    assert!(numbers(&text.tokens).unwrap().starts_with(&(text.text.clone() + " 15")))
                }
                _ => assert!(!text.text.contains(" 15")),
            }
        }
        if beams == 1 {
            assert_eq!(found(&decoder, &prompts, &options)[0][0].text, text[..place]);
        }
    }
}

#[test]
fn what_cannot_go_on_is_an_error() {
    let decoder = decoder("lm-pythia-1");
    let prompts = [vec![5]];
    for beams in [1, 2] {
        let (mut reader, first) = Uncached::new(&decoder, &prompts);
        let options = GenerateOptions { beams, banned_ids: (0..19).collect(), ..GenerateOptions::default() };
        let error = generate(&mut reader, first, &prompts, &options, &numbers).unwrap_err().to_string();
        assert!(error.contains("none of 19 tokens") && error.contains("banned_ids"), "{error}");
        let broken = Scores::new(vec![f32::NAN; 19], 19);
        let options = GenerateOptions { beams, ..GenerateOptions::default() };
        let error = generate(&mut reader, broken, &prompts, &options, &numbers).unwrap_err().to_string();
        assert!(error.contains("weights are damaged"), "{error}");
    }
}

#[test]
fn published_tokenizers_stream_what_they_decode() {
    for name in ["llama", "smollm", "gpt2"] {
        let checkpoint = Checkpoint::open(fixture(&format!("gguf-tokenizer-{name}.gguf"))).unwrap();
        let tokenizer = PretrainedTokenizer::from_gguf(&checkpoint).unwrap();
        for text in ["Output: a  cat 🙂 sat, über 100€.\n\nEnd", " two spaces", "日本語 é"] {
            let ids = tokenizer.encode_part(text).unwrap();
            let whole = tokenizer.decode(&ids).unwrap();
            let mut stream = TextStream::new(&[]);
            let mut pieces: Vec<String> =
                ids.iter().map(|id| stream.push(*id, &tokenizer).unwrap()).collect();
            pieces.push(stream.finish(&tokenizer).unwrap());
            assert_eq!(pieces.concat(), whole, "{name}");
            assert!(
                pieces.iter().all(|piece| !piece.contains(char::REPLACEMENT_CHARACTER)),
                "{name}: {pieces:?}"
            );
        }
    }
}
