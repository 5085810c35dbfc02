//! The frames of animations, against PIL: which one is shown at a moment, and its pixels.

use std::path::{Path, PathBuf};

use flamingo::data::RgbaImage;
use flamingo::data::image;
use flamingo::data::video::{Coverage, FrameSampling, frames, frames_from_bytes};
use flamingo_testkit::Origin;
use serde_json::Value;

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

/// Transparent ones have no colour.
fn visible_pixels(picture: &RgbaImage) -> Vec<[u8; 4]> {
    picture.pixels().map(|pixel| if pixel[3] == 0 { [0; 4] } else { pixel.0 }).collect()
}

/// Of comparisons with an animation's frames.
fn origin(extension: &str) -> Origin {
    let file: Value =
        serde_json::from_str(&std::fs::read_to_string(folder().join("origin.json")).unwrap()).unwrap();
    let said = |key: &str| Some(file[key].as_str()?.to_owned());
    Origin::new(&format!("video/walk.{extension}"), said)
}

fn compare(extension: &str) {
    let path = folder().join(format!("walk.{extension}"));
    let origin = origin(extension);
    for (rule, sampling) in rules() {
        let read = frames(&path, &sampling).unwrap();
        let expected = image::open(folder().join(format!("{extension}.{rule}.sheet.png"))).unwrap();
        let (width, height) = read[0].dimensions();
        assert_eq!((width * read.len() as u32, height), expected.dimensions(), "{rule}: number of frames");
        for (index, frame) in read.iter().enumerate() {
            // Shown if the test fails: the last one is where.
            println!("{rule}, frame {index}");
            let left = index as u32 * width;
            let expected = RgbaImage::from_fn(width, height, |x, y| expected[(left + x, y)]);
            origin.assert_equal("frames", &visible_pixels(frame), &visible_pixels(&expected));
        }
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
