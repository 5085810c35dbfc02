//! What the figures say and how controls change questions; whole runs are tested through the command.

use flamingo::prompt::{Example, Template};
use flamingo::{Medium, Source};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::pools::{Pool, Shown};
use super::probe::{Kind, Question};
use super::*;

fn medium(name: &str) -> Medium {
    Medium::Image(Source::File(name.into()))
}

fn name_of(example: &Example) -> Option<String> {
    example.media.first().map(|medium| match medium {
        Medium::Image(Source::File(path)) => path.display().to_string(),
        other => panic!("no file: {other:?}"),
    })
}

fn question(shots: usize, query: &str) -> Question {
    let example = |name: String| Example { media: vec![medium(&name)], answer: name, ..Example::default() };
    Question {
        shots: (0..shots).map(|shot| example(format!("shot {shot}"))).collect(),
        query: example(query.to_owned()),
        choices: vec![query.to_owned(), "other".to_owned()],
        answer: 0,
    }
}

#[test]
fn shuffling_moves_images_and_leaves_texts() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (asked, other) = (question(6, "query"), question(6, "another"));
    let shuffled = Control::Shuffled.apply(&asked, Kind::Binding, &other, &mut rng);
    let images = |question: &Question| question.shots.iter().filter_map(name_of).collect::<Vec<_>>();
    assert_ne!(images(&shuffled), images(&asked));
    let mut sorted = images(&shuffled);
    sorted.sort();
    assert_eq!(sorted, images(&asked));
    let texts =
        |question: &Question| question.shots.iter().map(|shot| shot.answer.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&shuffled), texts(&asked));
    assert_eq!(name_of(&shuffled.query).as_deref(), Some("query"), "what is bound is in the examples");

    let named = Control::Shuffled.apply(&asked, Kind::Name, &other, &mut rng);
    assert_eq!(name_of(&named.query).as_deref(), Some("another"));
    assert_eq!(named.query.answer, "query");
}

#[test]
fn controls_without_images_keep_every_text() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let asked = question(3, "query");
    for control in [Control::NoImages, Control::TextOnly] {
        let without = control.apply(&asked, Kind::Choice, &asked, &mut rng);
        assert!(without.shots.iter().chain([&without.query]).all(|example| example.media.is_empty()));
        assert_eq!(without.shots.len(), 3);
        assert_eq!(without.query.answer, "query");
    }
}

fn pool(queries: usize) -> Pool {
    let shown = |index: usize| Shown {
        medium: medium(&format!("picture {index}")),
        question: String::new(),
        answer: format!("name {index}"),
    };
    Pool { queries: (0..queries).map(shown).collect(), support: Vec::new() }
}

fn asked(shots: &[usize], zero_shot: usize) -> tasks::Asked<'_> {
    tasks::Asked {
        task: "names",
        kind: Kind::Name,
        template: Template::parse("{image}{answer}{eoc}").unwrap(),
        shots,
        chance: 0.25,
        zero_shot,
    }
}

#[test]
fn examples_are_the_same_for_a_block_and_never_asked_in_it() {
    let spec = SuiteSpec { queries: 30, block: 10, ..SuiteSpec::default() };
    let probes = asked(&[0, 4, 8], 2).probes(&pool(40), &spec, 7, |query, _| vec![query.answer.clone()]);
    assert_eq!(probes.iter().map(|probe| probe.shots).collect::<Vec<_>>(), [0, 4, 8]);
    for probe in &probes {
        assert_eq!(probe.questions.len(), 30);
        for block in probe.questions.chunks(10) {
            let examples =
                |question: &Question| question.shots.iter().map(|it| it.answer.clone()).collect::<Vec<_>>();
            let shown = examples(&block[0]);
            assert_eq!(shown.len(), if probe.shots == 0 { 2 } else { probe.shots });
            for question in block {
                assert_eq!(examples(question), shown);
                assert!(!shown.contains(&question.query.answer));
            }
        }
    }
    assert!(probes[0].questions[0].shots.iter().all(|shot| shot.media.is_empty()), "texts alone at 0 shots");
    let longer: Vec<_> = probes[2].questions[0].shots.iter().take(4).map(|it| it.answer.clone()).collect();
    let shorter: Vec<_> = probes[1].questions[0].shots.iter().map(|it| it.answer.clone()).collect();
    assert_eq!(longer, shorter, "eight examples begin with the four");

    let again = asked(&[4], 0).probes(&pool(40), &spec, 7, |query, _| vec![query.answer.clone()]);
    let other = asked(&[4], 0).probes(&pool(40), &spec, 8, |query, _| vec![query.answer.clone()]);
    let order =
        |probes: &[Probe]| probes[0].questions.iter().map(|it| it.query.answer.clone()).collect::<Vec<_>>();
    assert_eq!(order(&again), order(&probes[1..]));
    assert_ne!(order(&again), order(&other));
}

fn figure(task: &str, shots: usize, control: Control, score: f64, seed: u64) -> Figure {
    let (low, high) = (score - 0.1, score + 0.1);
    Figure { task: task.to_owned(), shots, control, score, low, high, chance: 0.2, n: 50, seed }
}

#[test]
fn seeds_are_put_together() {
    let figures = [
        figure("b", 1, Control::Images, 0.6, 1),
        figure("b", 1, Control::Shuffled, 0.2, 1),
        figure("b", 1, Control::Images, 0.8, 2),
        figure("a", 1, Control::Images, 0.5, 1),
    ];
    let all = summaries(&figures);
    let names: Vec<_> = all.iter().map(|it| (it.task.as_str(), it.control)).collect();
    assert_eq!(names, [("b", Control::Images), ("b", Control::Shuffled), ("a", Control::Images)]);
    let first = &all[0];
    assert!((first.score - 0.7).abs() < 1e-12 && first.n == 100);
    assert!((first.deviation - 0.02f64.sqrt()).abs() < 1e-12);
    assert!((first.interval.1 - (0.7 + 0.1 / 2f64.sqrt())).abs() < 1e-12);
    let html = page(&figures, &[("model", "smol <1>".to_owned())]);
    assert!(
        html.contains("shuffled") && html.contains("smol &lt;1&gt;") && html.matches("<svg").count() == 2
    );
}

#[test]
fn eval_json_has_the_agreed_keys() {
    let value = serde_json::to_value(figure("a", 4, Control::NoImages, 0.5, 3)).unwrap();
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    let mut expected = ["task", "shots", "control", "score", "low", "high", "chance", "n", "seed"];
    expected.sort_unstable();
    let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(value["control"], "no-images");
}

#[test]
fn unknown_tasks_and_empty_requests_are_refused() {
    let unknown = SuiteSpec { tasks: vec!["bindin-5-way".to_owned()], ..SuiteSpec::default() };
    let message = unknown.validate().unwrap_err().to_string();
    assert!(message.contains("binding-5-way"), "{message}");
    let empty = SuiteSpec { seeds: Vec::new(), ..SuiteSpec::default() };
    assert!(empty.validate().unwrap_err().to_string().contains("seeds = 0"));
}

#[test]
fn a_missing_set_is_named_with_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let sets = Sets::new(folder.path());
    let message = sets.concepts().unwrap_err().to_string();
    assert!(message.contains("cargo xtask data prepare emoji --side 160"), "{message}");
}
