//! Pictures for encoders of 160 to 320 pixels: at most [`SIDE`] wide and high, all eight bits of each channel.

use anyhow::{Context, ensure};
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use std::io::Cursor;

/// The longest side, in pixels.
pub const SIDE: u32 = 256;

/// Draws an SVG document; its longer side becomes [`SIDE`]. The ground stays transparent.
///
/// # Errors
///
/// If the document is not valid SVG, or shows nothing (a text alone is nothing: no fonts are used, so that every
/// machine draws the same).
pub fn draw(svg: &[u8]) -> anyhow::Result<RgbaImage> {
    let tree = Tree::from_data(svg, &Options::default()).context("not valid SVG")?;
    let size = tree.size();
    let scale = SIDE as f32 / size.width().max(size.height());
    let [width, height] =
        [size.width(), size.height()].map(|side| ((side * scale).round() as u32).clamp(1, SIDE));
    let mut pixmap = Pixmap::new(width, height).context("no memory for a picture")?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    let rgba = pixmap.pixels().iter().flat_map(|pixel| {
        let colour = pixel.demultiply();
        [colour.red(), colour.green(), colour.blue(), colour.alpha()]
    });
    let picture = RgbaImage::from_raw(width, height, rgba.collect()).context("a picture of another size")?;
    ensure!(picture.pixels().any(|pixel| pixel.0 != picture.get_pixel(0, 0).0), "shows nothing");
    Ok(picture)
}

/// Scales a picture down, if it is larger, so that its longer side becomes [`SIDE`].
pub fn shrink(picture: RgbaImage) -> RgbaImage {
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    if longest <= SIDE {
        return picture;
    }
    let side = |side: u32| ((side * SIDE + longest / 2) / longest).max(1);
    // A transparent pixel's colour must not bleed into its neighbours.
    let mut premultiplied = picture;
    for Rgba([r, g, b, a]) in premultiplied.pixels_mut() {
        for channel in [r, g, b] {
            *channel = ((u32::from(*channel) * u32::from(*a) + 127) / 255) as u8;
        }
    }
    let mut small = imageops::resize(&premultiplied, side(width), side(height), FilterType::CatmullRom);
    for Rgba([r, g, b, a]) in small.pixels_mut().filter(|pixel| pixel.0[3] > 0) {
        for channel in [r, g, b] {
            *channel = ((u32::from(*channel) * 255 + u32::from(*a) / 2) / u32::from(*a)).min(255) as u8;
        }
    }
    small
}

/// A picture as PNG; without an alpha channel if it needs none.
///
/// # Errors
///
/// If it cannot be encoded.
pub fn png(picture: &RgbaImage) -> anyhow::Result<Vec<u8>> {
    let opaque = picture.pixels().all(|pixel| pixel.0[3] == 255);
    let picture = DynamicImage::ImageRgba8(picture.clone());
    let picture = if opaque { DynamicImage::ImageRgb8(picture.into_rgb8()) } else { picture };
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).context("cannot encode a picture")?;
    Ok(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_keeps_its_shape_and_one_that_shows_nothing_is_refused() {
        let svg = |inside: &str| {
            format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 2 1\">{inside}</svg>")
        };
        let picture = draw(svg("<rect width=\"1\" height=\"1\" fill=\"#f00\"/>").as_bytes()).unwrap();
        assert_eq!(picture.dimensions(), (SIDE, SIDE / 2));
        assert_eq!((picture.get_pixel(9, 9).0, picture.get_pixel(200, 9).0), ([255, 0, 0, 255], [0; 4]));
        assert!(draw(svg("<text>hello</text>").as_bytes()).is_err());
        assert!(draw(b"<svg").is_err());
    }

    #[test]
    fn scaling_down_keeps_colours_clean_at_transparent_edges() {
        let red_beside_clear_green = RgbaImage::from_fn(SIDE * 4, SIDE * 2, |x, _| {
            if x < SIDE * 2 + 2 { Rgba([200, 0, 0, 255]) } else { Rgba([0, 255, 0, 0]) }
        });
        let small = shrink(red_beside_clear_green);
        assert_eq!(small.dimensions(), (SIDE, SIDE / 2));
        assert!(small.pixels().all(|Rgba([r, g, _, a])| *g == 0 && (*a < 64 || r.abs_diff(200) < 40)));
        assert_eq!(shrink(RgbaImage::new(5, 3)).dimensions(), (5, 3));
    }

    #[test]
    fn an_opaque_picture_has_no_alpha_channel() {
        let colour = |alpha| png(&RgbaImage::from_pixel(2, 2, Rgba([9, 9, 9, alpha]))).unwrap();
        let has_alpha = |file: &[u8]| image::load_from_memory(file).unwrap().color().has_alpha();
        assert!(!has_alpha(&colour(255)) && has_alpha(&colour(254)));
    }
}
