//! The frames of animations, against PIL: which one is shown at a moment, and its pixels.

use std::path::{Path, PathBuf};

use flamingo::data::RgbaImage;
use flamingo::data::image;
use flamingo::data::video::{Coverage, FrameSampling, frames, frames_from_bytes};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/video")
}

/// The rules behind the sheets, as in `parity/video.py`.
fn rules() -> [(&'static str, FrameSampling); 5] {
    let rule = |fps, max_frames, coverage| FrameSampling { fps, max_frames, coverage };
    [
        ("prompt", FrameSampling::prompt()),
        ("fast", rule(25.0, 200, Coverage::Whole)),
        ("few", rule(1.0, 3, Coverage::Whole)),
        ("end", rule(3.0, 4, Coverage::Window(1.0))),
        ("middle", rule(2.0, 4, Coverage::Window(0.5))),
    ]
}

/// Side by side; transparent pixels have no colour.
fn sheet(pictures: &[RgbaImage]) -> RgbaImage {
    let (width, height) = pictures[0].dimensions();
    RgbaImage::from_fn(width * pictures.len() as u32, height, |x, y| {
        let pixel = pictures[(x / width) as usize][(x % width, y)];
        if pixel[3] == 0 { [0; 4].into() } else { pixel }
    })
}

fn compare(extension: &str) {
    let path = folder().join(format!("walk.{extension}"));
    for (rule, sampling) in rules() {
        let read = frames(&path, &sampling).unwrap();
        let expected = image::open(folder().join(format!("{extension}.{rule}.sheet.png"))).unwrap();
        let found = sheet(&read);
        assert_eq!(found.dimensions(), expected.dimensions(), "{rule}: number of frames");
        let different = found.pixels().zip(expected.pixels()).position(|(found, expected)| found != expected);
        let frame = different.map(|position| position as u32 % found.width() / read[0].width());
        assert_eq!(frame, None, "{rule}: the first frame whose upper pixels differ");
    }
}

#[test]
fn gif_frames_are_pils() {
    compare("gif");
}

#[test]
fn webp_frames_are_pils() {
    compare("webp");
}

#[test]
fn png_frames_are_pils() {
    compare("png");
}

#[test]
fn a_cut_animation_is_refused_by_name() {
    for extension in ["gif", "webp", "png"] {
        let bytes = std::fs::read(folder().join(format!("walk.{extension}"))).unwrap();
        let error =
            frames_from_bytes(&bytes[..bytes.len() / 2], "cut", &FrameSampling::prompt()).unwrap_err();
        assert!(error.to_string().starts_with("cut is not a usable image"), "{extension}: {error}");
    }
}
