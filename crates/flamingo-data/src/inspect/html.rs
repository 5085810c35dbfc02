//! Pieces of HTML: text that cannot become markup, and pictures within the page.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, RgbaImage, imageops};

use crate::DataError;
use crate::sample::Medium;
use crate::video::FrameSampling;

/// The longer side of a picture on the page, in pixels.
const SIDE: u32 = 160;
/// Frames of a clip that are shown, evenly chosen from what training reads.
const FRAMES: usize = 4;

/// Text in which nothing is markup. What cannot be in HTML at all (control characters) becomes `�`.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// An image or some frames of a clip as `<img>`, or why there is none.
pub(super) fn medium(medium: &Medium) -> String {
    let name = if matches!(medium, Medium::Image(_)) { "image" } else { "clip" };
    let frames = medium.pictures(name, &sampling());
    match frames.and_then(|frames| frames.iter().map(data_url).collect::<Result<Vec<String>, _>>()) {
        Ok(urls) => urls.iter().map(|url| format!("<img src=\"{url}\" alt=\"\">")).collect(),
        Err(error) => format!("<span class=\"bad\">{}</span>", escape(&error.to_string())),
    }
}

fn sampling() -> FrameSampling {
    FrameSampling { max_frames: FRAMES, fps: 4.0, ..FrameSampling::prompt() }
}

/// The picture, scaled down, in the address of an `<img>`.
fn data_url(picture: &RgbaImage) -> Result<String, DataError> {
    let longest = picture.width().max(picture.height());
    let side = |side: u32| ((u64::from(side) * u64::from(SIDE) / u64::from(longest)) as u32).max(1);
    let small = match longest > SIDE {
        true => imageops::thumbnail(picture, side(picture.width()), side(picture.height())),
        false => picture.clone(),
    };
    let opaque = small.pixels().all(|pixel| pixel.0[3] == 255);
    let small = DynamicImage::ImageRgba8(small);
    let (small, format, kind) = match opaque {
        true => (small.into_rgb8().into(), ImageFormat::Jpeg, "jpeg"),
        false => (small, ImageFormat::Png, "png"),
    };
    let mut file = Cursor::new(Vec::new());
    small
        .write_to(&mut file, format)
        .map_err(|error| DataError::NotAnImage { name: "thumbnail".to_owned(), reason: error.to_string() })?;
    Ok(format!("data:image/{kind};base64,{}", STANDARD.encode(file.into_inner())))
}
