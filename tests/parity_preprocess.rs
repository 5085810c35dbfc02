//! Pictures on their way to an encoder, against PIL, torchvision, open_clip and timm.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use flamingo::core::preprocess::{Alpha, Filter, PreprocessSpec, Resize};
use flamingo::data::{ImageTransform, image};
use flamingo_testkit::{Fixture, Origin};
use rand::SeedableRng;

/// Side of the fixtures' images.
const SIZE: usize = 24;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/preprocess")
}

/// The rules behind the four images of a sheet.
fn rules() -> [PreprocessSpec; 4] {
    let bilinear = PreprocessSpec { filter: Filter::Bilinear, ..PreprocessSpec::clip(SIZE) };
    [PreprocessSpec::clip(SIZE), bilinear, PreprocessSpec::idefics(SIZE), PreprocessSpec::imagenet(SIZE)]
}

fn apply(spec: PreprocessSpec, picture: &str) -> Vec<f32> {
    let picture = image::open(folder().join(picture)).unwrap();
    let mut pixels = vec![f32::NAN; 3 * SIZE * SIZE];
    let mut unused = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    ImageTransform::eval(spec).apply(&picture, &mut unused, &mut pixels);
    pixels
}

/// Our pixels and the sheet's, in steps of 255, of each panel.
fn panels(picture: &str) -> Vec<[Vec<f32>; 2]> {
    let sheet = image::open(folder().join(format!("{}.sheet.png", picture.replace('.', "-")))).unwrap();
    let panel = |(index, spec): (usize, PreprocessSpec)| {
        let pixels = apply(spec.clone(), picture);
        let both = |position: usize| {
            let (channel, row, column) = (position / (SIZE * SIZE), position / SIZE % SIZE, position % SIZE);
            let value = (pixels[position] * spec.std[channel] + spec.mean[channel]) * 255.0;
            (value.round(), f32::from(sheet[((index * SIZE + column) as u32, row as u32)][channel]))
        };
        let (ours, theirs) = (0..pixels.len()).map(both).unzip();
        [ours, theirs]
    };
    rules().into_iter().enumerate().map(panel).collect()
}

/// Of comparisons with what was made of a picture.
fn origin(picture: &str) -> Origin {
    let of_all = Fixture::load("preprocess-clip").origin().clone();
    Origin { fixture: format!("preprocess/{picture}"), ..of_all }
}

/// Bit for bit, but for one kind of JPEG that another decoder reads.
#[test]
fn pictures_are_prepared_as_by_pil() {
    let pictures = [
        ("landscape.png", 0),
        ("portrait.png", 0),
        ("tiny.png", 0),
        ("strip.png", 0),
        ("same.png", 0),
        ("rgba.png", 0),
        ("grey.png", 0),
        ("grey-alpha.png", 0),
        ("grey16.png", 0),
        ("rgb16.png", 0),
        ("palette.png", 0),
        ("cmyk.jpg", 0),
        ("cmyk-halves.jpg", 2),
        ("squares.jpg", 0),
        ("halves.jpg", 0),
        ("grey.jpg", 0),
        ("turned.jpg", 0),
        ("photo.jpg", 0),
    ];
    for (picture, bound) in pictures {
        let origin = origin(picture);
        for [ours, theirs] in panels(picture) {
            match bound {
                0 => origin.assert_equal("pixels", &ours, &theirs),
                _ => origin.assert_within("pixels, in steps of 255", &ours, &theirs, bound as f32),
            }
        }
    }
}

#[test]
fn jpegs_are_decoded_as_by_pil() {
    for (name, bound) in [("squares", 0), ("halves", 0), ("cmyk-halves", 3)] {
        let decoded = image::open(folder().join(format!("{name}.jpg"))).unwrap();
        let expected = image::open(folder().join(format!("{name}-jpg.decoded.png"))).unwrap();
        assert_eq!(decoded.dimensions(), expected.dimensions(), "{name}");
        let origin = origin(&format!("{name}.jpg"));
        let [ours, theirs] =
            [decoded, expected].map(|it| it.iter().copied().map(f32::from).collect::<Vec<_>>());
        match bound {
            0 => origin.assert_equal("decoded", &ours, &theirs),
            _ => origin.assert_within("decoded, in steps of 255", &ours, &theirs, bound as f32),
        }
    }
}

#[test]
fn clips_statistics_are_open_clips() {
    let device = Device::flex();
    let pixels = TensorData::new(apply(PreprocessSpec::clip(SIZE), "landscape.png"), [3, SIZE, SIZE]);
    let pixels = Tensor::<3>::from_data(pixels, &device);
    Fixture::load("preprocess-clip").assert_close("out.normalised", pixels, 1e-6);
}

#[test]
fn the_rules_are_told_apart() {
    let [clip, bilinear, idefics, flamingo] = rules();
    assert_eq!((clip.resize, clip.alpha), (Resize::Crop, Alpha::Drop));
    for (a, b) in [(&clip, &bilinear), (&clip, &idefics), (&idefics, &flamingo)] {
        assert_ne!(apply(a.clone(), "rgba.png"), apply(b.clone(), "rgba.png"));
    }
}
