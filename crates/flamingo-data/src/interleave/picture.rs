//! What an image's bytes are worth: whether they decode, and whether the image is one to learn from.

use image::RgbaImage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::perceptual::Fingerprint;
use super::report::ImageFilter;
use super::spec::ImageRules;
use crate::reject::Reason;

/// Below this standard deviation (of 255) in each colour, an image is a single colour.
const FLAT: f64 = 3.0;

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Picture {
    /// One that may be kept.
    Good(Facts),
    /// One that a rule drops.
    Dropped(ImageFilter),
    /// One that cannot be used, and why in words.
    Bad(Reason, String),
}

/// A good image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// SHA-256 of the bytes, its first half in hexadecimal digits.
    pub sum: String,
    pub width: u32,
    pub height: u32,
    /// The file ending that its contents call for.
    pub ending: String,
    pub print: Fingerprint,
}

/// Looks at an image. `name` is what errors call it.
pub(crate) fn examine(bytes: &[u8], name: &str, rules: &ImageRules) -> Picture {
    if is_svg(bytes) {
        return Picture::Dropped(ImageFilter::Svg);
    }
    if bytes.len() as u64 > rules.max_bytes {
        let what = format!("{} bytes, more than the {} allowed", bytes.len(), rules.max_bytes);
        return Picture::Bad(Reason::ImageTooLarge, what);
    }
    let picture = match crate::image::decode(bytes, name) {
        Ok(picture) => picture,
        Err(error) => return Picture::Bad(Reason::BadImage, error.to_string()),
    };
    let (width, height) = picture.dimensions();
    if width.min(height) < rules.min_side.max(1) {
        return Picture::Dropped(ImageFilter::Small);
    }
    if f64::from(width.max(height)) > rules.max_aspect * f64::from(width.min(height)) {
        return Picture::Dropped(ImageFilter::Aspect);
    }
    if is_flat(&picture) {
        return Picture::Dropped(ImageFilter::SingleColour);
    }
    let sum = sum(bytes);
    let print = Fingerprint::new(&picture);
    Picture::Good(Facts { sum, width, height, ending: ending(bytes).to_owned(), print })
}

/// SHA-256, the first 16 bytes of it in hexadecimal digits.
pub(crate) fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_svg(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_ascii_lowercase();
    let head = head.trim_start_matches('\u{feff}').trim_start();
    head.starts_with("<svg") || (head.starts_with('<') && head.contains("<svg"))
}

fn is_flat(picture: &RgbaImage) -> bool {
    let (mut sums, mut squares) = ([0u64; 3], [0u64; 3]);
    for pixel in picture.pixels() {
        let alpha = u64::from(pixel.0[3]);
        for channel in 0..3 {
            let value = (u64::from(pixel.0[channel]) * alpha + 255 * (255 - alpha)) / 255;
            sums[channel] += value;
            squares[channel] += value * value;
        }
    }
    let count = f64::from(picture.width()) * f64::from(picture.height());
    sums.iter().zip(squares).all(|(&sum, square)| {
        let mean = sum as f64 / count;
        square as f64 / count - mean * mean < FLAT * FLAT
    })
}

/// The ending for the bytes of an image that decodes.
fn ending(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, ..] => "jpg",
        [b'G', b'I', b'F', ..] => "gif",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        _ => "png",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::png;
    use image::Rgba;

    fn seen(picture: &RgbaImage) -> Picture {
        examine(&png(picture), "a.png", &ImageRules::default())
    }

    fn striped(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, y| Rgba([(x * 3) as u8, (y * 2) as u8, 90, 255]))
    }

    #[test]
    fn rules_of_the_paper() {
        let Picture::Good(facts) = seen(&striped(64, 192)) else { panic!("64x192 is within the rules") };
        assert_eq!((facts.width, facts.height, facts.ending.as_str()), (64, 192, "png"));
        assert_eq!(seen(&striped(63, 100)), Picture::Dropped(ImageFilter::Small));
        assert_eq!(seen(&striped(64, 193)), Picture::Dropped(ImageFilter::Aspect));
    }

    #[test]
    fn a_single_colour_may_have_noise_and_transparency() {
        let noise =
            RgbaImage::from_fn(80, 80, |x, y| Rgba([100 + ((x * 7 + y * 13) % 5) as u8, 100, 100, 255]));
        assert_eq!(seen(&noise), Picture::Dropped(ImageFilter::SingleColour));
        let unseen = RgbaImage::from_fn(80, 80, |x, y| Rgba([(x * 3) as u8, (y * 3) as u8, 0, 0]));
        assert_eq!(seen(&unseen), Picture::Dropped(ImageFilter::SingleColour));
    }

    #[test]
    fn what_is_no_picture() {
        let rules = ImageRules::default();
        let svg = b"<?xml version='1.0'?>\n<svg width='9'/>";
        assert_eq!(examine(svg, "a.svg", &rules), Picture::Dropped(ImageFilter::Svg));
        assert!(matches!(examine(b"GIF89a", "a.gif", &rules), Picture::Bad(Reason::BadImage, _)));
        let small = ImageRules { max_bytes: 10, ..rules };
        assert!(matches!(examine(&[0; 11], "a.png", &small), Picture::Bad(Reason::ImageTooLarge, _)));
    }
}
