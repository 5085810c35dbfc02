//! Ten training episodes and five trials as text, to be read by a person: could one answer?
//!
//! `cargo run --release --example episodes -- [SEED] [FOLDER …]` takes the pictures of the folders (the bundled emoji) and
//! prints each picture as its style and name. A number behind a text is its weight in the loss, where it is not 1.

use std::error::Error;
use std::path::PathBuf;

use flamingo_data::{
    Chunk, ConceptSet, EpisodeComposer, EpisodeSpec, Split, TextTokenizer, TrialComposer, TrialSpec,
    list_shards,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seed: u64 = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
    let mut folders: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    if folders.is_empty() {
        folders = ["datasets/emoji", "datasets/openmoji"].map(PathBuf::from).into();
    }
    let shards = folders.iter().map(list_shards).collect::<Result<Vec<_>, _>>()?.concat();
    let set = ConceptSet::load(&shards)?;
    let names: Vec<&str> =
        set.images().iter().filter(|i| i.split == Split::Train).map(|i| i.name.as_str()).collect();
    let tokenizer = TextTokenizer::train(names, 4096)?;

    let picture = |image: usize| {
        let image = &set.images()[image];
        format!("[{}: {}]", image.style, image.name)
    };
    let composer = EpisodeComposer::new(&set, EpisodeSpec::default())?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for number in 1..=10 {
        let episode = composer.episode(usize::MAX, &tokenizer, &mut rng);
        println!("{number}. {} {:?}, {:?}", episode.words.join(", "), episode.naming, episode.form);
        let mut queries = episode.shown.iter().map(|shown| shown.query);
        for (chunk, weight) in episode.page.document.chunks.iter().zip(&episode.page.weights) {
            match chunk {
                Chunk::Image(image) => {
                    let mark = if queries.next() == Some(true) { "?" } else { " " };
                    print!("\n   {mark} {:<55}|", picture(*image));
                }
                Chunk::Text(text) if *weight == 1.0 => print!("{text}"),
                Chunk::Text(text) => print!("{text}({weight})"),
            }
        }
        println!("\n");
    }

    let trials = TrialComposer::new(&set, Split::HeldoutConcepts)?;
    println!("Trials of {} held-out concepts", trials.concepts());
    let spec = TrialSpec { ways: 3, shots: 2, trials: 5, seed, ..TrialSpec::default() };
    for trial in trials.trials(&spec, &tokenizer)? {
        for shot in &trial.shots {
            let image = shot.image.map_or_else(String::new, picture);
            println!("     {image:<55}|{}", trial.words[shot.class]);
        }
        let query = trial.query.map_or_else(String::new, picture);
        println!("   ? {query:<55}|{}\n", trial.words[trial.answer]);
    }
    Ok(())
}
