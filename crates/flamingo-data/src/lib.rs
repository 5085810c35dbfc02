//! Bytes on disk to batches on the host: shards, pictures, tokens, interleaved sequences.
//!
//! ```text
//! .tar.gz ─ShardReader─▶ Record ─ConceptSet─▶ named pictures ─PageComposer─▶ Document ─sequence─▶ Sequence ┐
//!                                                   │                                  TextTokenizer      ├─collate─▶ HostBatch
//!                                                   └───────────── ImageTransform ─▶ [3, I, I] ───────────┘
//! ```
//!
//! Nothing here knows a device or a tensor. Every random decision draws from the generator that the caller passes,
//! so a run's data are a function of its seed.
//!
//! ```
//! use flamingo_core::PreprocessSpec;
//! use flamingo_data::{ImageTransform, SequenceSpec, TextTokenizer, collate, sequence};
//! use rand::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! let tokenizer = TextTokenizer::train(["cow face", "pig face"], 300)?;
//! let rows = [sequence::pair(0, "cow face", &tokenizer, &SequenceSpec::default(), &mut rng)];
//!
//! let picture = flamingo_data::RgbaImage::new(64, 64);
//! let transform = ImageTransform::eval(PreprocessSpec::imagenet(48));
//! let batch = collate(&rows, 1, 48, tokenizer.special().pad, |_image, slot, pixels| {
//!     let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(slot);
//!     transform.apply(&picture, &mut rng, pixels);
//! });
//! assert_eq!((batch.batch, batch.media), (1, 1));
//! # Ok::<(), flamingo_data::DataError>(())
//! ```

pub mod augment;
pub mod collate;
pub mod concepts;
pub mod document;
pub mod error;
pub mod image;
pub mod pages;
pub mod sequence;
pub mod tokenizer;
pub mod transform;
pub mod webdataset;

mod wording;

#[cfg(test)]
mod fixtures;

pub use ::image::RgbaImage;
pub use augment::Augment;
pub use collate::collate;
pub use concepts::{ConceptImage, ConceptSet, Split};
pub use document::{Chunk, Document};
pub use error::DataError;
pub use pages::{PageComposer, PageSpec, contrastive_text};
pub use sequence::{Sequence, SequenceSpec};
pub use tokenizer::{SpecialTokens, TextTokenizer};
pub use transform::ImageTransform;
pub use webdataset::{Record, ShardReader, list_shards};
#[cfg(test)]
mod zz_bench {
    #[test]
    fn bench() {
        use crate::*;
        let img = RgbaImage::from_fn(64, 64, |x, y| ::image::Rgba([x as u8, y as u8, 3, (x + y) as u8]));
        let spec = flamingo_core::PreprocessSpec::imagenet(48);
        let mut out = vec![0.0; 3 * 48 * 48];
        for t in [ImageTransform::train(spec.clone(), Augment::strong()), ImageTransform::eval(spec)] {
            let mut r = fixtures::rng(0);
            let s = std::time::Instant::now();
            for _ in 0..1280 { t.apply(&img, &mut r, &mut out); }
            eprintln!("128 images: {:?}", s.elapsed() / 10);
        }
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
        let mut shards = list_shards(root.join("emoji")).unwrap_or_default();
        shards.extend(list_shards(root.join("openmoji")).unwrap_or_default());
        let s = std::time::Instant::now();
        let set = ConceptSet::load(&shards).unwrap();
        eprintln!("{} images in {:?}", set.images().len(), s.elapsed());
        if set.images().is_empty() { return; }
        for split in Split::ALL { eprintln!("{split:?} {}", set.of_split(split).len()); }
        let c = PageComposer::new(&set, PageSpec::default()).unwrap();
        let mut r = fixtures::rng(0);
        let s = std::time::Instant::now();
        let texts: Vec<String> = (0..20000).map(|_| c.text(&mut r)).collect();
        eprintln!("20000 texts {:?}", s.elapsed());
        let train: Vec<String> = set.by_concept().values().filter(|i| i.iter().any(|i| set.images()[*i].split == Split::Train)).map(|i| set.images()[i[0]].name.clone()).collect();
        let held: Vec<String> = c_names(&set).into_iter().filter(|n| !train.contains(n)).collect();
        let mut tok = TextTokenizer::train(&texts, 4096).unwrap();
        for (extra, v) in [(0, 4096), (1, 4096), (10, 4096), (0, 5120), (1, 3072)] {
            let mut t = texts.clone();
            for _ in 0..extra { t.extend(train.iter().cloned()); }
            tok = TextTokenizer::train(&t, v).unwrap();
            let big = TextTokenizer::train(&train, 60000).unwrap();
            for (what, names) in [("train", &train), ("held", &held)] {
                let b: usize = train.iter().map(|n| big.encode(n).len()).sum();
                let n: usize = names.iter().map(|n| tok.encode(n).len()).sum();
                eprintln!("{extra} {v} {what}: {} names, {n} tokens (train, one a word: {b})", names.len());
            }
        }
        for _ in 0..12 { eprintln!("TEXT {:?}", c.text(&mut r)); }
        let lens: Vec<usize> = (0..1000).map(|_| sequence::interleaved(&c.page(&mut r), &tok, &SequenceSpec::default(), &mut r).ids.len()).collect();
        eprintln!("mean page len {} max {}", lens.iter().sum::<usize>() / 1000, lens.iter().max().unwrap());
        for _ in 0..6 { eprintln!("PAGE {:?}", c.page(&mut r)); }
    }
    fn c_names(set: &crate::ConceptSet) -> Vec<String> {
        set.by_concept().values().map(|i| set.images()[i[0]].name.clone()).collect()
    }
}
