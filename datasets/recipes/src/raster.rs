//! SVG documents to small PNG files.

use anyhow::Context;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// Side of the bundled pictures, in pixels: room to turn and scale what a 48-pixel encoder will see.
pub const SIDE: u32 = 64;

/// Bits kept of each colour channel of bundled pictures: five are enough for a drawing, and compress to half.
const BITS: u32 = 5;

/// Draws an SVG document, fitted and centred on a square of `side` pixels, and writes it as PNG with an alpha channel.
/// Only pictures of [`SIDE`] pixels, which are bundled, lose bits of their colours.
///
/// # Errors
///
/// If the document is not valid SVG.
pub fn png(svg: &str, side: u32) -> anyhow::Result<Vec<u8>> {
    let tree = Tree::from_str(svg, &Options::default()).context("not valid SVG")?;
    let size = tree.size();
    let scale = side as f32 / size.width().max(size.height());
    let (dx, dy) = ((side as f32 - size.width() * scale) / 2.0, (side as f32 - size.height() * scale) / 2.0);
    let reduce = |value| if side == SIDE { reduce(value) } else { value };
    let mut pixmap = Pixmap::new(side, side).context("no memory for a picture")?;
    resvg::render(&tree, Transform::from_row(scale, 0.0, 0.0, scale, dx, dy), &mut pixmap.as_mut());

    let mut rgba = Vec::with_capacity(side as usize * side as usize * 4);
    for pixel in pixmap.pixels() {
        let colour = pixel.demultiply();
        match reduce(colour.alpha()) {
            0 => rgba.extend([0; 4]),
            alpha => {
                rgba.extend([reduce(colour.red()), reduce(colour.green()), reduce(colour.blue()), alpha])
            }
        }
    }
    let mut file = Vec::new();
    PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::Adaptive)
        .write_image(&rgba, side, side, ExtendedColorType::Rgba8)
        .context("cannot encode a picture")?;
    Ok(file)
}

/// The nearest of the 2^[`BITS`] values that span 0 to 255.
fn reduce(value: u8) -> u8 {
    let levels = (1u32 << BITS) - 1;
    let level = (u32::from(value) * levels + 127) / 255;
    (level * 255 / levels) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_is_fitted_centred_and_transparent_around() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 2 1\"><rect width=\"2\" height=\"1\" fill=\"#f00\"/></svg>";
        let picture = image::load_from_memory(&png(svg, SIDE).unwrap()).unwrap().to_rgba8();
        assert_eq!(picture.dimensions(), (SIDE, SIDE));
        assert_eq!(picture.get_pixel(32, 32).0, [255, 0, 0, 255]);
        assert_eq!(picture.get_pixel(32, 4).0, [0, 0, 0, 0]);
    }

    #[test]
    fn ends_of_the_range_stay() {
        assert_eq!([reduce(0), reduce(255)], [0, 255]);
    }
}
