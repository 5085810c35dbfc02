//! What holds for every episode and every trial, and what some of them say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::*;
use crate::concepts::{ConceptImage, ConceptSet, Split};
use crate::fixtures::{picture, rng};
use crate::sequence::{self, SequenceSpec};
use crate::{Chunk, DataError, LossRule, TextTokenizer};
use image::{Rgba, RgbaImage};
use proptest::prelude::*;

const STYLES: [&str; 3] = ["noto", "fluent", "openmoji"];
const GROUPS: usize = 5;

/// 30 concepts to train on, in three styles but for every sixth, which lacks one; 12 held out; 3 in one style only, and
/// 3 with a picture of another concept.
static ZOO: LazyLock<ConceptSet> = LazyLock::new(|| {
    let mut images: Vec<ConceptImage> = Vec::new();
    let mut add = |concept: usize, style: &str, split: Split, look: usize| {
        let secret = if split == Split::HeldoutConcepts { "zyx" } else { "animal" };
        let name = format!("{secret} number{}", letters(concept));
        let mut image = picture(&format!("{concept:03}"), style, &name, &[], split);
        image.subgroup = format!("kind-{}", concept % GROUPS);
        image.image = RgbaImage::from_pixel(2, 2, Rgba([look as u8, style.len() as u8, 0, 255]));
        images.push(image);
    };
    for concept in 0..48 {
        let split = if (30..42).contains(&concept) { Split::HeldoutConcepts } else { Split::Train };
        for (place, style) in STYLES.into_iter().enumerate() {
            match concept {
                0..30 if concept % 6 == 0 && place == 2 => add(concept, style, Split::HeldoutImages, concept),
                0..42 => add(concept, style, split, concept),
                42..45 if place > 0 => {}
                _ => add(concept, style, split, if concept < 45 { concept } else { concept - 45 }),
            }
        }
    }
    ConceptSet::new(images)
});

static TOKENIZER: LazyLock<TextTokenizer> = LazyLock::new(|| {
    let texts = ["this is a question: what is this? answer: animal number"];
    TextTokenizer::train(texts, 330).unwrap()
});

fn letters(number: usize) -> String {
    [number / 26, number % 26].map(|digit| char::from(b'a' + digit as u8)).iter().collect()
}

fn composer(spec: EpisodeSpec) -> EpisodeComposer {
    EpisodeComposer::new(&ZOO, spec).unwrap()
}

fn show(ids: &[u32]) -> String {
    let special = TOKENIZER.special();
    let token = |id: &u32| match *id {
        id if id == special.bos => "<BOS>".to_owned(),
        id if id == special.image => "<image>".to_owned(),
        id if id == special.eoc => "<EOC>".to_owned(),
        id => TOKENIZER.decode(&[id]),
    };
    ids.iter().map(token).collect()
}

fn style(image: usize) -> &'static str {
    &ZOO.images()[image].style
}

fn specs() -> impl Strategy<Value = EpisodeSpec> {
    let counts = ((2usize..4, 0usize..3), (1usize..3, 0usize..4), (0usize..3, 0usize..4), 0usize..10);
    let chances = (prop_oneof![Just(1.0f32), 0.0f32..=1.0], 0.0f32..=1.0, 0.0f32..=1.0);
    (counts, chances, 0.0f32..0.5).prop_map(|((ways, shots, queries, room), chances, weight)| {
        let range = |(fewest, more): (usize, usize)| (fewest, fewest + more);
        let (ways, shots, queries) = (range(ways), range(shots), range(queries));
        EpisodeSpec {
            ways,
            shots,
            queries,
            max_images: ways.0 * shots.0 + queries.0 + room,
            p_other_style: chances.0,
            p_mixed_styles: (1.0 - chances.0) * chances.1,
            p_real_names: chances.2,
            first_weight: weight,
            wording_weight: weight / 2.0,
            ..EpisodeSpec::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn episodes_keep_to_their_counts_and_to_training_pictures(spec in specs(), most in 0usize..25, seed: u64) {
        let episode = composer(spec.clone()).episode(most, &*TOKENIZER, &mut rng(seed));
        prop_assert_eq!(&episode, &composer(spec.clone()).episode(most, &*TOKENIZER, &mut rng(seed)));
        let limit = most.min(spec.max_images).max(spec.fewest_images());
        prop_assert!(episode.shown.len() <= limit);
        let ways = episode.words.len();
        prop_assert!((spec.ways.0..=spec.ways.1).contains(&ways));

        let asked = episode.shown.iter().filter(|shown| shown.query).count();
        prop_assert!((spec.queries.0..=spec.queries.1).contains(&asked));
        let (given, queries) = episode.shown.split_at(episode.shown.len() - asked);
        prop_assert!(queries.iter().all(|shown| shown.query), "queries come last");
        prop_assert!((spec.shots.0..=spec.shots.1).contains(&(given.len() / ways)));
        let mut concepts = BTreeMap::new();
        for class in 0..ways {
            prop_assert_eq!(given.iter().filter(|shown| shown.class == class).count(), given.len() / ways);
        }
        for shown in &episode.shown {
            let picture = &ZOO.images()[shown.image];
            prop_assert_eq!(picture.split, Split::Train);
            prop_assert!(!(42..48).map(|id| format!("{id:03}")).any(|id| id == picture.concept), "{}", picture.concept);
            prop_assert_eq!(*concepts.entry(shown.class).or_insert(&picture.concept), &picture.concept);
            if episode.naming == Naming::Real {
                prop_assert_eq!(&episode.words[shown.class], &picture.name);
            }
        }
        prop_assert_eq!(concepts.values().collect::<BTreeSet<_>>().len(), concepts.len());
        if episode.naming == Naming::Invented {
            prop_assert!(episode.words.iter().all(|word| InventedWords::purpose(word) == Purpose::Training));
        }
        if spec.p_other_style == 1.0 {
            let pictures = |shown: &[Shown]| shown.iter().map(|shown| shown.image).collect::<BTreeSet<usize>>();
            prop_assert!(pictures(given).is_disjoint(&pictures(queries)));
        }
        let text = episode.page.document.text();
        prop_assert!(!text.contains("zyx"), "{}", text);
    }

    /// Token by token, as one would explain it.
    #[test]
    fn words_count_where_their_class_was_shown_before(spec in specs(), seed: u64) {
        let episode = composer(spec.clone()).episode(99, &*TOKENIZER, &mut rng(seed));
        let long = SequenceSpec { len: 10_000, max_images: 1, ..SequenceSpec::default() };
        let sequence = sequence::weighted(&episode.page, &*TOKENIZER, &long).unwrap();
        prop_assert_eq!(&sequence.images, &episode.shown.iter().map(|shown| shown.image).collect::<Vec<_>>());
        let special = TOKENIZER.special();
        let rows: Vec<usize> = (0..sequence.ids.len()).filter(|at| sequence.ids[*at] == special.image).collect();
        let mut known = BTreeSet::new();
        let parts = episode.form.parts(episode.naming);
        for (number, (start, shown)) in rows.iter().zip(&episode.shown).enumerate() {
            let end = rows.get(number + 1).copied().unwrap_or(sequence.ids.len());
            let (ids, weights) = (&sequence.ids[start + 1..end], &sequence.loss_weights[start + 1..end]);
            let word = format!("{}{}", parts.space, episode.words[shown.class]);
            prop_assert_eq!(show(ids), format!("{}{}{}<EOC>", parts.lead, word, parts.tail));
            let first = match episode.naming {
                Naming::Invented => spec.first_weight,
                Naming::Real => spec.first_name_weight,
            };
            let weight = if known.insert(shown.class) { first } else { 1.0 };
            let lead = TOKENIZER.encode(parts.lead).len();
            for (at, own) in weights.iter().enumerate() {
                prop_assert_eq!(*own, if at < lead { spec.wording_weight } else { weight });
            }
            prop_assert_eq!(sequence.loss_weights[*start], 0.0);
            prop_assert!(sequence.media_index[*start..end].iter().all(|phi| *phi as usize == number + 1));
        }
        prop_assert_eq!(&sequence.ids, &rows_of_a_page(&episode), "as any other page");
    }

    #[test]
    fn no_episode_is_cut(spec in specs(), len in 75usize..140, seed: u64) {
        let spec = EpisodeSpec { p_real_names: 0.5, ways: (2, 4), shots: (1, 3), queries: (1, 2), max_images: 12, ..spec };
        let rule = SequenceSpec { len, ..SequenceSpec::default() };
        let row = composer(spec).sequence(&*TOKENIZER, &rule, &mut rng(seed)).unwrap();
        prop_assert!(row.ids.len() <= len && row.images.len() >= 3);
        let special = TOKENIZER.special();
        prop_assert_eq!((row.ids[0], *row.ids.last().unwrap()), (special.bos, special.eoc));
        prop_assert_eq!(row.ids.iter().filter(|id| **id == special.image).count(), row.images.len());
    }

    #[test]
    fn trials_ask_in_a_style_that_was_not_shown(
        ways in 2usize..6, shots in 0usize..6, own: bool, alike: bool, seed: u64,
    ) {
        let styles = if own { TrialStyles::Own } else { TrialStyles::Shared };
        let spec = TrialSpec { ways, shots, trials: 24, seed, styles, alike };
        let composer = TrialComposer::new(&ZOO, Split::HeldoutConcepts).unwrap();
        let trials = composer.trials(&spec, &*TOKENIZER).unwrap();
        prop_assert_eq!(&trials, &composer.trials(&spec, &*TOKENIZER).unwrap());
        let concept = |image: usize| ZOO.images()[image].concept.as_str();
        let mut asked = BTreeMap::new();
        for trial in &trials {
            prop_assert_eq!((trial.words.len(), trial.shots.len()), (ways, ways * shots));
            prop_assert!(trial.words.iter().all(|word| InventedWords::purpose(word) == Purpose::Evaluation));
            let query = trial.query.unwrap();
            *asked.entry(concept(query)).or_insert(0) += 1;
            let mut classes: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
            for shot in &trial.shots {
                let image = shot.image.unwrap();
                prop_assert_eq!(ZOO.images()[image].split, Split::HeldoutConcepts);
                classes.entry(shot.class).or_default().insert(concept(image));
                prop_assert_eq!(shot.class == trial.answer, concept(image) == concept(query));
                if shot.class == trial.answer || !own {
                    prop_assert_ne!(style(image), style(query));
                }
            }
            prop_assert!(classes.values().all(|concepts| concepts.len() == 1));
            for class in classes.keys() {
                let of_class = trial.shots.iter().filter(|shot| shot.class == *class);
                let mut times = BTreeMap::new();
                of_class.for_each(|shot| *times.entry(shot.image).or_insert(0) += 1);
                prop_assert_eq!(times.len(), shots.min(2), "both other styles, as often as each other");
                prop_assert!(times.values().max().unwrap() - times.values().min().unwrap() <= 1);
            }
        }
        prop_assert!(asked.len() == 12 && asked.values().all(|times| *times == 2), "all concepts alike: {asked:?}");
    }
}

/// The ids of an episode, written as a page with one text for each picture.
fn rows_of_a_page(episode: &Episode) -> Vec<u32> {
    let mut page = crate::Document { tie: episode.page.document.tie, ..crate::Document::default() };
    for chunk in &episode.page.document.chunks {
        match (page.chunks.last_mut(), chunk) {
            (Some(Chunk::Text(last)), Chunk::Text(text)) => last.push_str(text),
            _ => page.chunks.push(chunk.clone()),
        }
    }
    let spec = SequenceSpec { len: 10_000, max_images: 99, ..SequenceSpec::default() };
    sequence::interleaved(&page, &*TOKENIZER, &spec, &mut rng(0)).ids
}

#[test]
fn an_episode_reads_as_it_should() {
    let forms = FormShares { bare: 1.0, spaced: 0.0, sentence: 0.0, question: 0.0 };
    let spec = EpisodeSpec {
        ways: (2, 2),
        shots: (2, 2),
        queries: (1, 1),
        syllables: (2, 2),
        forms,
        ..EpisodeSpec::default()
    };
    let invented = EpisodeSpec { p_real_names: 0.0, ..spec.clone() };
    let written = |spec: EpisodeSpec, seed| {
        let row = composer(spec).sequence(&*TOKENIZER, &SequenceSpec::default(), &mut rng(seed)).unwrap();
        let mut text = String::new();
        // A mark before each change of weight.
        let mut last = 0.0;
        for (id, weight) in row.ids.iter().zip(&row.loss_weights) {
            if *weight != last && *id != TOKENIZER.special().image {
                text += &format!("{{{weight}}}");
                last = *weight;
            }
            text += &show(&[*id]);
        }
        text
    };
    assert_eq!(
        written(invented.clone(), 5),
        "<BOS><image>{0.1}sedip<EOC><image>{1}sedip<EOC><image>{0.1}suteem<EOC><image>{1}suteem<EOC><image>sedip<EOC>"
    );
    let sentence = FormShares { sentence: 1.0, bare: 0.0, ..invented.forms.clone() };
    assert_eq!(
        written(EpisodeSpec { forms: sentence, ..invented }, 6),
        "<BOS><image>This is a{0.1} dubeb.<EOC><image>{0}This is a{0.1} kosad.<EOC>\
         <image>{0}This is a{1} kosad.<EOC><image>{0}This is a{1} dubeb.<EOC><image>{0}This is a{1} dubeb.<EOC>"
    );
    assert_eq!(
        written(EpisodeSpec { p_real_names: 1.0, ..spec }, 7),
        "<BOS><image>{1}animal numberav<EOC><image>animal numberav<EOC><image>animal numberba<EOC>\
         <image>animal numberba<EOC><image>animal numberba<EOC>"
    );
}

#[test]
fn styles_are_drawn_as_often_as_asked() {
    // One shot: whether the query is the picture that was shown tells the styles.
    let spec = EpisodeSpec { shots: (1, 1), queries: (1, 1), ..EpisodeSpec::default() };
    let share = |p_other_style: f32, p_mixed_styles: f32| {
        let composer = composer(EpisodeSpec { p_other_style, p_mixed_styles, ..spec.clone() });
        let mut rng = rng(8);
        let same = (0..600).filter(|_| {
            let episode = composer.episode(99, &*TOKENIZER, &mut rng);
            let (query, given) = episode.shown.split_last().unwrap();
            given.iter().any(|shown| shown.image == query.image)
        });
        same.count() as f32 / 600.0
    };
    assert_eq!((share(1.0, 0.0), share(0.0, 0.0)), (0.0, 1.0));
    // Of 30 concepts, 5 have two styles and 25 three.
    assert!((share(0.0, 1.0) - 0.361).abs() < 0.06);
    assert!((share(0.5, 0.2) - 0.3 - 0.2 * 0.361).abs() < 0.06);
}

#[test]
fn classes_of_one_subgroup_are_as_frequent_as_asked() {
    let spec = EpisodeSpec { ways: (3, 3), p_subgroup: 0.5, ..EpisodeSpec::default() };
    let (composer, mut rng) = (composer(spec), rng(9));
    let alike = (0..600).filter(|_| {
        let shown = composer.episode(99, &*TOKENIZER, &mut rng).shown;
        let groups: BTreeSet<&str> =
            shown.iter().map(|shown| ZOO.images()[shown.image].subgroup.as_str()).collect();
        groups.len() == 1
    });
    // By chance three of 30 are of one subgroup of six in one of forty.
    let alike = alike.count();
    assert!((260..370).contains(&alike), "{alike}");
}

#[test]
fn all_wordings_are_used_and_can_be_asked() {
    for form in Form::ALL {
        for naming in [Naming::Invented, Naming::Real] {
            let parts = form.parts(naming);
            let text = format!("{{image}}{}{}{{answer}}{}{{eoc}}", parts.lead, parts.space, parts.tail);
            assert_eq!(text, form.template(naming));
        }
    }
    let (composer, mut rng) = (composer(EpisodeSpec::default()), rng(10));
    let mut forms = BTreeMap::new();
    for _ in 0..1000 {
        *forms.entry(composer.episode(99, &*TOKENIZER, &mut rng).form).or_insert(0) += 1;
    }
    for (form, share) in
        [(Form::Bare, 350), (Form::Spaced, 350), (Form::Sentence, 150), (Form::Question, 150)]
    {
        assert!(forms[&form] > share - 60 && forms[&form] < share + 60, "{forms:?}");
    }
    let only = FormShares { bare: 0.0, spaced: 0.0, sentence: 1.0, question: 0.0 };
    assert!((0..100).all(|_| only.draw(&mut rng) == Form::Sentence));
}

#[test]
fn an_end_counts_as_its_text_and_another_rule_still_rules() {
    let mut page = sequence::WeightedDocument::default();
    let text = |text: &str| Chunk::Text(text.to_owned());
    for (chunk, weight) in [
        (text("animal"), 0.5),
        (Chunk::Image(0), 9.0),
        (text(""), 9.0),
        (Chunk::Image(1), 9.0),
        (text("a"), 0.25),
    ] {
        page.push(chunk, weight);
    }
    let row = |loss| {
        let spec = SequenceSpec { loss, ..SequenceSpec::default() };
        sequence::weighted(&page, &*TOKENIZER, &spec).unwrap()
    };
    let paper = row(LossRule::Paper);
    assert_eq!(show(&paper.ids), "<BOS>animal<EOC><image><EOC><image>a<EOC>");
    let first = TOKENIZER.encode("animal").len();
    let (words, rest) = paper.loss_weights[1..].split_at(first);
    assert!(words.iter().all(|weight| *weight == 0.5));
    assert_eq!(rest, [0.5, 0.0, 1.0, 0.0, 0.25, 0.25]);
    let (words, rest) = (row(LossRule::OpenFlamingo).loss_weights, &rest[1..]);
    assert_eq!(words[1..first + 2], vec![0.0; first + 1]);
    assert_eq!(words[first + 2..], *rest);
    let exact = SequenceSpec { len: paper.ids.len(), ..SequenceSpec::default() };
    assert!(sequence::weighted(&page, &*TOKENIZER, &exact).is_some());
    let short = SequenceSpec { len: paper.ids.len() - 1, ..exact };
    assert!(sequence::weighted(&page, &*TOKENIZER, &short).is_none());
}

#[test]
fn controls_take_away_what_binds_and_nothing_else() {
    let composer = TrialComposer::new(&ZOO, Split::HeldoutConcepts).unwrap();
    let spec = TrialSpec { ways: 2, shots: 1, trials: 400, ..TrialSpec::default() };
    let trials = composer.trials(&spec, &*TOKENIZER).unwrap();
    let mut rng = rng(11);
    let mut kept = 0;
    for trial in &trials {
        let shuffled = trial.shuffled(&mut rng);
        let sorted = |trial: &EpisodeTrial| {
            let mut images: Vec<Option<usize>> = trial.shots.iter().map(|shot| shot.image).collect();
            images.sort();
            images
        };
        let words = |trial: &EpisodeTrial| trial.shots.iter().map(|shot| shot.class).collect::<Vec<_>>();
        assert_eq!((sorted(trial), words(trial)), (sorted(&shuffled), words(&shuffled)));
        assert_eq!(
            (trial.query, trial.answer, &trial.words),
            (shuffled.query, shuffled.answer, &shuffled.words)
        );
        kept += usize::from(*trial == shuffled);
        let blind = trial.without_images();
        assert!(blind.query.is_none() && blind.shots.iter().all(|shot| shot.image.is_none()));
        assert_eq!((words(trial), trial.answer), (words(&blind), blind.answer));
    }
    assert!((160..240).contains(&kept), "a reader of pictures is right by chance: {kept}");
    let first = trials.iter().filter(|trial| trial.answer == 0).count();
    let last = trials.iter().filter(|trial| trial.shots[1].class == trial.answer).count();
    assert!((160..240).contains(&first) && (160..240).contains(&last), "no place tells: {first}, {last}");
}

#[test]
fn trials_of_seen_concepts_have_training_pictures() {
    let composer = TrialComposer::new(&ZOO, Split::Train).unwrap();
    assert_eq!(composer.concepts(), 30);
    let trials = composer.trials(&TrialSpec { shots: 2, ..TrialSpec::default() }, &*TOKENIZER).unwrap();
    let images =
        trials.iter().flat_map(|trial| trial.shots.iter().filter_map(|shot| shot.image).chain(trial.query));
    assert!(images.into_iter().all(|image| ZOO.images()[image].split == Split::Train));
    let held = TrialComposer::new(&ZOO, Split::HeldoutConcepts).unwrap();
    assert_eq!(held.concepts(), 12);
    for ways in [1, 13] {
        let error = held.trials(&TrialSpec { ways, ..TrialSpec::default() }, &*TOKENIZER).unwrap_err();
        assert!(error.to_string().contains("2 to 12 ways"), "{error}");
    }
    let error = TrialComposer::new(&ZOO, Split::HeldoutImages).unwrap_err().to_string();
    assert!(error.contains("heldout_images has 0"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let right = EpisodeSpec::default();
    right.validate().unwrap();
    let wrong = [
        ("ways", EpisodeSpec { ways: (1, 5), ..right.clone() }),
        ("shots", EpisodeSpec { shots: (3, 2), ..right.clone() }),
        ("max_images", EpisodeSpec { max_images: 2, ..right.clone() }),
        ("together", EpisodeSpec { p_other_style: 0.9, ..right.clone() }),
        ("p_subgroup", EpisodeSpec { p_subgroup: f32::NAN, ..right.clone() }),
        ("forms", EpisodeSpec { forms: FormShares { bare: -1.0, ..FormShares::default() }, ..right.clone() }),
        ("weight", EpisodeSpec { first_weight: f32::INFINITY, ..right.clone() }),
        ("60 classes", EpisodeSpec { ways: (2, 60), ..right.clone() }),
    ];
    for (name, spec) in wrong {
        let error = EpisodeComposer::new(&ZOO, spec).unwrap_err();
        assert!(matches!(error, DataError::Episodes { .. }) && error.to_string().contains(name), "{error}");
    }
    let short = SequenceSpec { len: 8, ..SequenceSpec::default() };
    let error = composer(right).sequence(&*TOKENIZER, &short, &mut rng(0)).unwrap_err().to_string();
    assert!(error.contains("8 tokens"), "{error}");
    serde_json::from_str::<EpisodeSpec>(r#"{"ways": [2, 3], "forms": {"bare": 1.0}}"#).unwrap();
    assert!(serde_json::from_str::<EpisodeSpec>(r#"{"way": [2, 3]}"#).is_err());
}
