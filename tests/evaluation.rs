//! The few-shot protocol on a whole model: as OpenFlamingo's `evaluate.py` does it, interrupted and resumed, with missing
//! files, similar examples and several orders.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use flamingo::{Engine, Medium, Pretrained, Source};
use flamingo_eval::EvalError;
use flamingo_eval::files::FileRecord;
use flamingo_eval::protocol::{
    Examples, Given, Journal, Prompter, Protocol, Settings, Support, TaskResult, written,
};
use flamingo_eval::task::{Files, Item, Items, Output, PromptStyle, Task, registry};
use flamingo_testkit::Origin;
use image::RgbImage;
use serde::Deserialize;
use serde_json::Value;

use crate::published::Published;

/// Of scores and log-likelihoods.
const TOLERANCE: f32 = 1e-4;

/// The tiny model and data sets of `tests/parity/evaluation.py`.
struct Subject {
    published: Published,
    folder: PathBuf,
}

impl Subject {
    fn new() -> Self {
        let published = Published::new("evaluation");
        let folder = published.folder.path().join("data");
        let subject = Self { published, folder };
        for (name, text) in subject.told::<BTreeMap<String, String>>("files") {
            write(&subject.folder.join(name), text.as_bytes());
        }
        for (name, index) in subject.told::<BTreeMap<String, usize>>("pictures") {
            write(&subject.folder.join(name), &picture(index));
        }
        // The classes that have pictures come first; the others' numbers stand for any.
        let numbers = ["n01440764", "n01443537", "n01484850"].map(str::to_owned).into_iter();
        let numbers = numbers.chain((3..).map(|class| format!("n9{class:07}")));
        let names = subject.published.checkpoint.metadata()["classes"].as_str().unwrap().lines();
        let lines: Vec<String> =
            numbers.zip(names).map(|(number, name)| format!("{number} {name}")).collect();
        write(&subject.folder.join("imagenet/LOC_synset_mapping.txt"), lines.join("\n").as_bytes());
        subject
    }

    /// A part of the fixture that is JSON.
    fn told<T: for<'de> Deserialize<'de>>(&self, key: &str) -> T {
        serde_json::from_str(self.published.checkpoint.metadata()[key].as_str().unwrap()).unwrap()
    }

    fn engine(&self) -> Engine {
        let (source, lm) = self.published.open_flamingo_source();
        let tokenizer = self.published.checkpoint.metadata()["tokenizer.json"].as_str().unwrap();
        write(&lm.join("tokenizer.json"), tokenizer.as_bytes());
        Engine::new(Pretrained::open(source, &Device::flex()).unwrap())
    }

    /// A task, its files and what they hold.
    fn task(&self, name: &str) -> (&'static dyn Task, Files, Items) {
        let task = registry::find(name).unwrap();
        let files = files_of(name).map(|(key, path)| (key.to_owned(), self.folder.join(path))).collect();
        let items = task.load(&files).unwrap();
        (task, files, items)
    }

    fn origin(&self) -> Origin {
        self.published.fixture.origin().clone()
    }
}

/// Where OpenFlamingo's program finds a task's files.
fn files_of(task: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let files: &[_] = match task {
        "coco" => &[
            ("karpathy", "coco/dataset_coco.json"),
            ("train-images", "coco/train2014"),
            ("val-images", "coco/val2014"),
            ("annotations", "coco/captions_val2014.json"),
        ],
        "hateful-memes" => &[
            ("train", "hateful_memes/train.jsonl"),
            ("queries", "hateful_memes/test_seen.jsonl"),
            ("images", "hateful_memes/img"),
        ],
        "vqav2" => &[
            ("train-questions", "vqav2/v2_OpenEnded_mscoco_train2014_questions.json"),
            ("train-annotations", "vqav2/v2_mscoco_train2014_annotations.json"),
            ("questions", "vqav2/v2_OpenEnded_mscoco_val2014_questions.json"),
            ("annotations", "vqav2/v2_mscoco_val2014_annotations.json"),
            ("train-images", "coco/train2014"),
            ("images", "coco/val2014"),
        ],
        "imagenet" => &[
            ("class-names", "imagenet/LOC_synset_mapping.txt"),
            ("train-images", "imagenet/train"),
            ("images", "imagenet/val"),
        ],
        _ => panic!("no files of {task}"),
    };
    files.iter().copied()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The picture of that number, as `evaluation.py` has it.
fn picture(index: usize) -> Vec<u8> {
    let (width, height) = (12, 10);
    let value = |i: usize| ((i * i + 3) * (2 * index + 5) % 257 % 256) as u8;
    let image = RgbImage::from_raw(width, height, (0..3 * 12 * 10).map(value).collect()).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn small(style: PromptStyle, shots: &[usize]) -> Settings {
    let bootstrap = flamingo_eval::metrics::Bootstrap { resamples: 20, ..Default::default() };
    Settings { style, shots: shots.to_vec(), bootstrap, batch: 3, ..Settings::default() }
}

/// Runs an evaluation that nobody stops.
fn run(protocol: &mut Protocol<'_>) -> Result<TaskResult, EvalError> {
    let mut go_on = |_: &_| ControlFlow::Continue(());
    Ok(protocol.run(&mut Journal::forgetful(), &mut go_on)?.expect("nobody stopped it"))
}

fn answer<'r>(
    result: &'r TaskResult,
    shots: usize,
    trial: usize,
    query: &str,
) -> &'r flamingo_eval::protocol::AnswerResult {
    let shots = result.shots.iter().find(|it| it.shots == shots).unwrap();
    shots.trials[trial].answers.iter().find(|it| it.query == query).unwrap()
}

/// That two results are equal, but for rounding.
fn assert_alike(one: &Value, other: &Value, place: &str) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{place}");
            a.iter().for_each(|(key, value)| assert_alike(value, &b[key], &format!("{place}.{key}")));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{place}");
            a.iter()
                .zip(b)
                .enumerate()
                .for_each(|(at, (a, b))| assert_alike(a, b, &format!("{place}[{at}]")));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() < 1e-5, "{place}: {a} and {b}");
        }
        _ => assert_eq!(one, other, "{place}"),
    }
}

#[test]
fn an_evaluation_that_was_interrupted_ends_as_one_that_was_not() {
    let subject = Subject::new();
    for name in ["coco", "hateful-memes"] {
        let (task, files, items) = subject.task(name);
        let ensemble = if name == "coco" { 1 } else { 2 };
        let settings = Settings { trials: 2, ensemble, ..small(PromptStyle::Paper, &[0, 2, 4]) };
        let mut engine = subject.engine();
        let mut protocol = Protocol::new(&mut engine, task, &items, settings.clone());
        let records: Vec<FileRecord> =
            files.iter().map(|(role, path)| FileRecord::of(role, path).unwrap()).collect();
        protocol.files = records.clone();
        let whole = run(&mut protocol).unwrap();
        let answers = whole.shots.iter().flat_map(|it| &it.trials).map(|trial| trial.answers.len());
        assert_eq!(answers.sum::<usize>(), 3 * 2 * items.queries.len());

        let path = subject.folder.join(format!("{name}.jsonl"));
        let mut stops = 0;
        let resumed = loop {
            // Another process: nothing is left but the file, of which the last fifth was never written.
            let mut engine = subject.engine();
            let mut protocol = Protocol::new(&mut engine, task, &items, settings.clone());
            protocol.files = records.clone();
            let mut journal = Journal::open(&path, &protocol.decided().unwrap()).unwrap();
            let mut watch =
                |_: &_| if stops < 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            if let Some(result) = protocol.run(&mut journal, &mut watch).unwrap() {
                break result;
            }
            drop(journal);
            stops += 1;
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() - bytes.len() / 5]).unwrap();
        };
        assert_eq!(stops, 3);
        assert_alike(&serde_json::to_value(&whole).unwrap(), &serde_json::to_value(&resumed).unwrap(), name);

        let mut protocol = Protocol::new(&mut engine, task, &items, Settings { seed: 7, ..settings });
        protocol.files = records;
        let error = Journal::open(&path, &protocol.decided().unwrap()).unwrap_err().to_string();
        assert!(error.contains("settings.seed = 42, and now settings.seed = 7"), "{error}");
    }
}

#[test]
fn prompts_without_examples_have_two_texts_where_answers_are_open() {
    let subject = Subject::new();
    let mut engine = subject.engine();
    for (name, style, texts) in [
        ("coco", PromptStyle::Paper, 2),
        ("hateful-memes", PromptStyle::Paper, 0),
        ("coco", PromptStyle::OpenFlamingo, 2),
        ("hateful-memes", PromptStyle::OpenFlamingo, 2),
    ] {
        let (task, _, items) = subject.task(name);
        let result = run(&mut Protocol::new(&mut engine, task, &items, small(style, &[0, 2]))).unwrap();
        let [bare, two] = &result.shots[..] else { unreachable!() };
        let count = |prompt: &str, what: &str| prompt.matches(what).count();
        assert_eq!(
            (count(&bare.first_prompt, "<image>"), count(&bare.first_prompt, "<EOC>")),
            (1, texts),
            "{name}"
        );
        assert!(bare.first_prompt.contains("<image>Output:") || name != "coco");
        assert_eq!((count(&two.first_prompt, "<image>"), count(&two.first_prompt, "<EOC>")), (3, 2));
        let all = &bare.trials[0].answers;
        assert!(all.iter().all(|answer| answer.examples.len() == texts), "{name}");
    }
}

#[test]
fn examples_are_a_function_of_seed_and_query() {
    let subject = Subject::new();
    let mut engine = subject.engine();
    let (task, _, items) = subject.task("coco");
    let settings = Settings { trials: 2, ..small(PromptStyle::Paper, &[2, 4]) };
    let result = run(&mut Protocol::new(&mut engine, task, &items, settings.clone())).unwrap();
    let of = |result: &TaskResult, shots, trial, query| answer(result, shots, trial, query).examples.clone();
    let queries: Vec<&str> = items.queries.iter().map(|it| it.id.as_str()).collect();
    // Fewer are the first of more; trials and queries have others.
    assert!(queries.iter().all(|query| of(&result, 4, 0, query)[..2] == of(&result, 2, 0, query)));
    assert!(queries.iter().any(|query| of(&result, 4, 0, query) != of(&result, 4, 1, query)));
    assert!(queries.iter().any(|query| of(&result, 4, 0, query) != of(&result, 4, 0, queries[0])));
    // Of fewer queries, each has the same; the second trial alone is the second of two.
    let one = Settings { queries: Some(3), trials: 1, seed: settings.seed + 1, batch: 1, ..settings.clone() };
    let alone = run(&mut Protocol::new(&mut engine, task, &items, one)).unwrap();
    let asked: Vec<&String> = alone.shots[0].trials[0].answers.iter().map(|it| &it.query).collect();
    assert_eq!(asked.len(), 3);
    for query in asked {
        assert_eq!(answer(&alone, 4, 0, query).examples, of(&result, 4, 1, query));
        assert_eq!(answer(&alone, 4, 0, query).raw, answer(&result, 4, 1, query).raw);
    }
    // The same for all.
    let same = Settings { examples: Examples::Same, ..settings };
    let same = run(&mut Protocol::new(&mut engine, task, &items, same)).unwrap();
    assert!(queries.iter().all(|query| of(&same, 4, 1, query) == of(&same, 4, 1, queries[0])));
    assert_ne!(of(&same, 4, 0, queries[0]), of(&same, 4, 1, queries[0]));
}

#[test]
fn similar_examples_end_with_the_most_similar_whatever_the_number_of_threads() {
    let subject = Subject::new();
    let (task, _, mut items) = subject.task("hateful-memes");
    // A query whose picture is also shown by an example.
    items.queries[1].media = items.support[4].media.clone();
    let settings = Settings { examples: Examples::Similar, ..small(PromptStyle::Paper, &[0, 4]) };
    let run_with = |threads: usize, root: &str| {
        let pool = rayon_pool(threads);
        pool.install(|| {
            let mut engine = subject.engine();
            let mut protocol = Protocol::new(&mut engine, task, &items, settings.clone());
            protocol.features = Some(subject.folder.join(root));
            run(&mut protocol).unwrap()
        })
    };
    let one = run_with(1, "a");
    assert_eq!(one, run_with(3, "b"));
    let found = answer(&one, 4, 0, &items.queries[1].id);
    assert_eq!(found.examples.last(), Some(&items.support[4].id));
    // Features are there: a second time nothing is made, and nothing changes.
    let made = || {
        std::fs::read_dir(subject.folder.join("a"))
            .unwrap()
            .flat_map(|it| std::fs::read_dir(it.unwrap().path()).unwrap())
            .count()
    };
    let before = made();
    assert_eq!((before, one), (1, run_with(2, "a")));
    assert_eq!(made(), before);
}

fn rayon_pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

#[test]
fn several_orders_are_averaged() {
    let subject = Subject::new();
    let mut engine = subject.engine();
    let (task, _, items) = subject.task("hateful-memes");
    let settings = Settings { queries: Some(2), ensemble: 2, ..small(PromptStyle::Paper, &[2]) };
    let together = run(&mut Protocol::new(&mut engine, task, &items, settings.clone())).unwrap();
    let answers = &together.shots[0].trials[0].answers;
    let given = |turned: bool| {
        let one = |answer: &flamingo_eval::protocol::AnswerResult| {
            let mut examples = answer.examples.clone();
            if turned {
                examples.reverse();
            }
            (answer.query.clone(), examples)
        };
        Given([(2, answers.iter().map(one).collect())].into())
    };
    // Two examples have two orders.
    let mut of_order = Vec::new();
    for turned in [false, true] {
        let alone = Settings { ensemble: 1, examples: Examples::Given, ..settings.clone() };
        let mut protocol = Protocol::new(&mut engine, task, &items, alone);
        protocol.given = Some(given(turned));
        of_order.push(run(&mut protocol).unwrap());
    }
    for found in answers {
        let scores = |result: &TaskResult| answer(result, 2, 0, &found.query).scores.clone().unwrap();
        let (one, other) = (scores(&of_order[0]), scores(&of_order[1]));
        assert!(one.iter().zip(&other).any(|(a, b)| (a - b).abs() > 1e-4), "order hardly matters");
        for ((mean, a), b) in found.scores.as_ref().unwrap().iter().zip(one).zip(other) {
            assert!((mean - (a + b) / 2.0).abs() < 1e-5, "{mean} of {a} and {b}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_counted_and_too_much_of_it_ends_the_evaluation() {
    let subject = Subject::new();
    let mut engine = subject.engine();
    let (task, _, mut items) = subject.task("coco");
    let file = |path: &Path| vec![Medium::Image(Source::File(path.to_owned()))];
    let broken = subject.folder.join("broken.jpg");
    write(&broken, b"no image");
    items.queries[1].media = file(&subject.folder.join("absent.jpg"));
    items.support[0].media = file(&broken);
    items.support[2].media = file(&subject.folder.join("absent.jpg"));
    let settings = Settings { max_reject_rate: 0.2, ..small(PromptStyle::Paper, &[0, 4]) };
    let result = run(&mut Protocol::new(&mut engine, task, &items, settings.clone())).unwrap();
    let gone = [&items.support[0].id, &items.support[2].id];
    let trials = result.shots.iter().flat_map(|it| &it.trials);
    for trial in trials.clone() {
        assert_eq!(trial.queries, items.queries.len() - 1);
        assert!(trial.score.is_some());
    }
    let shown: Vec<&String> = result.shots[1].trials[0].answers.iter().flat_map(|it| &it.examples).collect();
    assert!(!shown.iter().any(|id| gone.contains(id)), "{shown:?}");
    assert_eq!(result.support_missing, 1);
    let out: Vec<(&str, bool)> = result
        .left_out
        .iter()
        .map(|it| (it.id.as_str(), it.what.contains("broken.jpg") || it.what.contains("absent.jpg")))
        .collect();
    assert!(
        out.contains(&(&items.queries[1].id, true)) && out.contains(&(&items.support[0].id, true)),
        "{out:?}"
    );

    let strict = Settings { max_reject_rate: 0.1, ..settings.clone() };
    let error = run(&mut Protocol::new(&mut engine, task, &items, strict)).unwrap_err();
    assert!(
        matches!(&error, EvalError::TooManyRejects { rejected: 1, of: 6, allowed: 0, first } if first.contains("absent.jpg")),
        "{error}"
    );
    // More examples than can be read.
    let many = Settings { shots: vec![8], support: Support::All, ..settings };
    let error = run(&mut Protocol::new(&mut engine, task, &items, many)).unwrap_err();
    assert!(matches!(&error, EvalError::Examples { shots: 8, there: 7, missing: 2, .. }), "{error}");
}

/// `cargo xtask parity` runs this.
mod parity {
    use flamingo_eval::protocol::Rices;
    use flamingo_testkit::Fixture;

    use super::*;

    /// What OpenFlamingo's program did.
    #[derive(Deserialize)]
    struct Run {
        task: String,
        shots: usize,
        queries: Vec<String>,
        examples: Vec<Vec<String>>,
        prompts: Vec<String>,
        said: Vec<Value>,
        cleaned: Vec<String>,
        score: f64,
    }

    #[test]
    fn prompts_answers_and_scores_are_those_of_open_flamingo() {
        let subject = Subject::new();
        let origin = subject.origin();
        let mut engine = subject.engine();
        for mut run_there in subject.told::<Vec<Run>>("runs") {
            let (task, _, mut items) = subject.task(&run_there.task);
            if run_there.task == "imagenet" {
                // There, images are known by their places.
                let id = |list: &[Item], place: &String| list[place.parse::<usize>().unwrap()].id.clone();
                run_there.queries.iter_mut().for_each(|query| *query = id(&items.queries, query));
                run_there.examples.iter_mut().flatten().for_each(|it| *it = id(&items.support, it));
            }
            let Run { shots, .. } = &run_there;
            if *shots == 0 && run_there.cleaned.is_empty() {
                // Classification there gives the model the images of the examples, too, whose places were taken out of the
                // text: the query's place then stands for the first example's image.
                for (query, examples) in run_there.queries.iter().zip(&run_there.examples) {
                    let shown = items.support.iter().find(|it| it.id == examples[0]).unwrap().media.clone();
                    items.queries.iter_mut().find(|it| it.id == *query).unwrap().media = shown;
                }
            }
            let examples = run_there.queries.iter().cloned().zip(run_there.examples.iter().cloned());
            let given = Given([(*shots, examples.collect())].into());
            let settings =
                Settings { examples: Examples::Given, ..small(PromptStyle::OpenFlamingo, &[*shots]) };
            let mut protocol = Protocol::new(&mut engine, task, &items, settings);
            protocol.given = Some(given);
            let result = run(&mut protocol).unwrap();
            compare(&origin, &engine, task, &items, &run_there, &result);
        }
    }

    fn compare(
        origin: &Origin,
        engine: &Engine,
        task: &dyn Task,
        items: &Items,
        there: &Run,
        result: &TaskResult,
    ) {
        let Run { task: name, shots, queries, examples, prompts, said, cleaned, score } = there;
        let key = |what: &str| format!("{what} of {name}, {shots} shots");
        let dialect = &engine.pretrained().dialect;
        let prompter = Prompter::new(task, PromptStyle::OpenFlamingo, dialect).unwrap();
        let item = |list: &[Item], id: &str| list.iter().find(|it| it.id == id).cloned().unwrap();
        let here = queries.iter().zip(examples).map(|(query, examples)| {
            let examples: Vec<_> = examples.iter().map(|id| item(&items.support, id)).collect();
            let examples: Vec<_> = examples.iter().collect();
            let prompt = prompter.prompt(&examples, *shots == 0, &item(&items.queries, query));
            written(&prompt).replace("<EOC>", "<|endofchunk|>")
        });
        origin.assert_equal(&key("prompts"), &here.collect::<Vec<_>>(), prompts);

        let answers = queries.iter().map(|query| answer(result, *shots, 0, query));
        for (answer, said) in answers.clone().zip(said) {
            match (&answer.output, said) {
                (Output::Text(_), Value::String(said)) => {
                    origin.assert_equal(&key("texts"), &[answer.raw.as_deref().unwrap()], &[said.as_str()]);
                }
                (Output::Scores(scores), Value::Array(said)) => {
                    let said: Vec<f32> = said.iter().map(|it| it.as_f64().unwrap() as f32).collect();
                    let scores: Vec<f32> = scores.iter().map(|it| *it as f32).collect();
                    origin.assert_within(&key("log-likelihoods"), &scores, &said, TOLERANCE);
                }
                other => panic!("{other:?}"),
            }
        }
        if !cleaned.is_empty() {
            let here: Vec<&str> = answers.filter_map(|answer| answer.cleaned.as_deref()).collect();
            origin.assert_equal(
                &key("cleaned texts"),
                &here,
                &cleaned.iter().map(String::as_str).collect::<Vec<_>>(),
            );
        }
        // There, captions and questions are scored in hundredths, the latter rounded to two places.
        let (unit, tolerance) = match name.as_str() {
            "coco" => (100.0, 1e-3),
            "vqav2" => (100.0, 6e-3),
            _ => (1.0, 1e-6),
        };
        let found = (unit * result.shots[0].mean.unwrap()) as f32;
        origin.assert_within(&key("score"), &[found], &[*score as f32], tolerance);
    }

    #[test]
    fn similar_examples_are_those_of_open_flamingo_and_numpy() {
        let fixture = Fixture::load("rices");
        let rows = |key: &str| {
            let tensor = fixture.tensor::<2>(key, &Device::flex());
            let width = tensor.dims()[1];
            (tensor.into_data().iter::<f32>().collect::<Vec<f32>>(), width)
        };
        for (support, key) in [("in.support", "out.nearest"), ("in.twice", "out.nearest_of_twice")] {
            let ((support, width), (queries, _), (expected, count)) =
                (rows(support), rows("in.queries"), rows(key));
            let found = Rices::new(support, width).nearest(queries, count).concat();
            let expected: Vec<usize> = expected.iter().map(|place| *place as usize).collect();
            fixture.origin().assert_equal(key, &found, &expected);
        }
    }
}
