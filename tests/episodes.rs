//! Episodes on the bundled drawings: what is trained is what is asked later, and batches repeat.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use flamingo::dialect::Dialect;
use flamingo::prompt::{Example, Template};
use flamingo::stages::flamingo::{EpisodeSampler, Sampling};
use flamingo::{Medium, Source};
use flamingo_data::{
    ConceptSet, EpisodeComposer, EpisodeSpec, ImageTransform, SequenceSpec, Split, TextTokenizer,
    TrialComposer, list_shards,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

static SET: LazyLock<Arc<ConceptSet>> = LazyLock::new(|| {
    let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("datasets");
    let shards = ["emoji", "openmoji"].map(|name| list_shards(datasets.join(name)).unwrap()).concat();
    Arc::new(ConceptSet::load(&shards).unwrap())
});

static TOKENIZER: LazyLock<Arc<TextTokenizer>> = LazyLock::new(|| {
    let names = SET.images().iter().filter(|image| image.split == Split::Train).map(|image| &image.name);
    Arc::new(TextTokenizer::train(names, 1000).unwrap())
});

#[test]
fn an_episode_is_the_prompt_that_asks_for_its_last_word_and_the_word() {
    let composer = EpisodeComposer::new(&SET, EpisodeSpec::default()).unwrap();
    let dialect = Dialect::paper((**TOKENIZER).clone());
    let spec = SequenceSpec { len: 10_000, ..SequenceSpec::default() };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut forms = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let episode = composer.episode(usize::MAX, &*TOKENIZER, &mut rng);
        forms.insert((episode.form, episode.naming));
        let trained = flamingo_data::sequence::weighted(&episode.page, &*TOKENIZER, &spec).unwrap();

        let text = episode.form.template(episode.naming);
        let template = Template::parse(text).unwrap();
        let mut examples: Vec<Example> = episode
            .shown
            .iter()
            .map(|shown| Example {
                media: vec![Medium::Image(Source::File(shown.image.to_string().into()))],
                answer: episode.words[shown.class].clone(),
                ..Example::default()
            })
            .collect();
        let query = examples.pop().unwrap();
        let asked = dialect.encode(&template.prompt(&dialect, &examples, &query)).unwrap();
        let tail = text.split_once("{answer}").unwrap().1.strip_suffix("{eoc}").unwrap();
        let answer = format!("{}{}{tail}", template.lead(), query.answer);
        let mut ids = asked.ids;
        ids.extend(dialect.continuation(&answer).unwrap());
        ids.extend(dialect.eoc());
        assert_eq!(ids, trained.ids, "{text}");
        assert_eq!(dialect.media_index(&ids), trained.media_index);
    }
    assert_eq!(forms.len(), 8);
}

#[test]
fn batches_of_episodes_repeat_and_have_more_images_than_pages() {
    let sampling = Sampling {
        set: SET.clone(),
        tokenizer: TOKENIZER.clone(),
        transform: ImageTransform::eval(flamingo::core::PreprocessSpec::imagenet(16)),
        spec: SequenceSpec { len: 128, ..SequenceSpec::default() },
        features: None,
        batch: 6,
        seed: 3,
    };
    let composer = Arc::new(EpisodeComposer::new(&SET, EpisodeSpec::default()).unwrap());
    let sampler = EpisodeSampler { sampling, composer };
    let batches: Vec<_> = (0..8).map(|index| sampler.batch(index).unwrap()).collect();
    assert_eq!(sampler.batch(5).unwrap().pixels, batches[5].pixels);
    assert_eq!(sampler.batch(5).unwrap().ids, batches[5].ids);
    assert_ne!(batches[4].ids, batches[5].ids);
    assert!(batches.iter().all(|batch| batch.batch == 6 && batch.len <= 128 && batch.media <= 12));
    assert!(batches.iter().any(|batch| batch.media > 10));
    // The first of a class counts a tenth, and the others fully.
    let weights = batches.iter().flat_map(|batch| &batch.loss_weights);
    let [full, some] = [1.0, 0.1].map(|wanted| weights.clone().filter(|weight| **weight == wanted).count());
    assert!(full > some && some > 0, "{full}, {some}");

    let sampling = Sampling { spec: SequenceSpec { len: 9, ..SequenceSpec::default() }, ..sampler.sampling };
    let error = EpisodeSampler { sampling, ..sampler }.batch(0).unwrap_err().to_string();
    assert!(error.contains("9 tokens"), "{error}");
}

#[test]
fn the_bundled_sets_hold_out_two_hundred_concepts_in_two_styles_or_more() {
    let trials = TrialComposer::new(&SET, Split::HeldoutConcepts).unwrap();
    assert_eq!(trials.concepts(), 200);
}
