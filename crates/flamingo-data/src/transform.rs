//! Decoded images to an encoder's input: resized, on a plain background, normalised, planar.
//!
//! Two ways lead to the same geometry. Without augmentation the image is resized once with the Catmull-Rom kernel
//! (the "bicubic" of PIL and of the published preprocessing). With augmentation a random affine map goes straight
//! from the source to the target ([`crate::augment`]), so that training pays for one sampling only.
//!
//! Transparent pictures lie on a plain background, white unless augmentation draws another colour; the space around
//! them (padding, or what a rotation uncovers) has the same colour, because a transparent picture has no edge. The
//! space around opaque images is the mean colour, as in the paper.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use flamingo_core::{PreprocessSpec, Resize};
use image::RgbaImage;
use rand::Rng;

use crate::augment::{Augment, warp};

/// An opaque 8-bit image, interleaved RGB, and the colour around it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// `[height, width, 3]`.
    pub(crate) rgb: Vec<u8>,
    /// The colour outside the image.
    pub(crate) outside: [u8; 3],
}

/// Turns decoded images into `[3, I, I]` inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageTransform {
    /// Size, resizing rule and normalisation of the encoder.
    pub spec: PreprocessSpec,
    /// Random changes while training; `None` when evaluating.
    pub augment: Option<Augment>,
}

impl ImageTransform {
    /// The transform of evaluation and inference: no randomness.
    pub fn eval(spec: PreprocessSpec) -> Self {
        Self { spec, augment: None }
    }

    /// The transform of training.
    pub fn train(spec: PreprocessSpec, augment: Augment) -> Self {
        Self { spec, augment: Some(augment) }
    }

    /// Writes `image`, normalised, to `out` as `[3, I, I]`.
    ///
    /// The result is a function of the image and of `rng`'s state; without augmentation nothing is drawn from `rng`.
    ///
    /// # Panics
    ///
    /// If `out` has not `3 * I * I` elements, if `I` is 0, or if the image has no pixels.
    pub fn apply(&self, image: &RgbaImage, rng: &mut impl Rng, out: &mut [f32]) {
        let size = self.spec.size;
        assert_eq!(out.len(), 3 * size * size, "the output must be [3, {size}, {size}]");
        assert!(size > 0 && image.width() > 0 && image.height() > 0, "images must have pixels");
        match &self.augment {
            None => {
                let pixels = resize(&flatten(image, WHITE, &self.spec), &self.spec);
                for (index, pixel) in pixels.chunks_exact(3).enumerate() {
                    for channel in 0..3 {
                        out[channel * size * size + index] = self.spec.normalise(pixel[channel], channel);
                    }
                }
            }
            Some(augment) => {
                let drawn = augment.draw(rng);
                let canvas = reduce(flatten(image, drawn.background.unwrap_or(WHITE), &self.spec), 2 * size);
                let mut pixels = warp(&canvas, &self.spec, &drawn);
                drawn.colour(&mut pixels);
                for (index, pixel) in pixels.iter().enumerate() {
                    for channel in 0..3 {
                        let value = (pixel[channel] - self.spec.mean[channel]) / self.spec.std[channel];
                        out[channel * size * size + index] = value;
                    }
                }
            }
        }
    }
}

const WHITE: [u8; 3] = [255; 3];

/// Lays an image on a plain background.
fn flatten(image: &RgbaImage, background: [u8; 3], spec: &PreprocessSpec) -> Canvas {
    let mut transparent = false;
    let mut rgb = Vec::with_capacity(image.len() / 4 * 3);
    for pixel in image.pixels() {
        let [red, green, blue, alpha] = pixel.0;
        transparent |= alpha < 255;
        let over = |above: u8, below: u8| {
            let sum = u32::from(above) * u32::from(alpha) + u32::from(below) * u32::from(255 - alpha);
            ((sum + 127) / 255) as u8
        };
        rgb.extend([over(red, background[0]), over(green, background[1]), over(blue, background[2])]);
    }
    let outside = if transparent { background } else { spec.mean_colour() };
    Canvas { width: image.width() as usize, height: image.height() as usize, rgb, outside }
}

/// Shrinks an image so that its shorter side is at most `side`, lest bilinear sampling skip pixels of large images.
fn reduce(canvas: Canvas, side: usize) -> Canvas {
    let shorter = canvas.width.min(canvas.height);
    if shorter <= side {
        return canvas;
    }
    let scaled = |length: usize| (length * side).div_ceil(shorter);
    let (width, height) = (scaled(canvas.width), scaled(canvas.height));
    let whole = [0.0, 0.0, canvas.width as f64, canvas.height as f64];
    Canvas { width, height, rgb: catmull_rom(&canvas, whole, width, height), outside: canvas.outside }
}

/// Resizes to `[I, I, 3]` by the rule of `spec`.
fn resize(canvas: &Canvas, spec: &PreprocessSpec) -> Vec<u8> {
    let size = spec.size;
    let (width, height) = (canvas.width as f64, canvas.height as f64);
    let whole = [0.0, 0.0, width, height];
    match spec.resize {
        Resize::Squash => catmull_rom(canvas, whole, size, size),
        Resize::Crop => {
            let side = width.min(height);
            catmull_rom(canvas, [(width - side) / 2.0, (height - side) / 2.0, side, side], size, size)
        }
        Resize::PadMean => {
            let scaled = |length: f64| ((size as f64 * length / width.max(height)).round() as usize).max(1);
            let (inner_width, inner_height) = (scaled(width), scaled(height));
            let inner = catmull_rom(canvas, whole, inner_width, inner_height);
            if (inner_width, inner_height) == (size, size) {
                return inner;
            }
            let (left, top) = ((size - inner_width) / 2, (size - inner_height) / 2);
            let mut padded = canvas.outside.repeat(size * size);
            for (row, line) in inner.chunks_exact(3 * inner_width).enumerate() {
                let start = 3 * ((top + row) * size + left);
                padded[start..start + line.len()].copy_from_slice(line);
            }
            padded
        }
    }
}

/// Resizes the box `[left, top, width, height]` of an image to `[to_height, to_width, 3]`.
fn catmull_rom(canvas: &Canvas, source: [f64; 4], to_width: usize, to_height: usize) -> Vec<u8> {
    let [left, top, width, height] = source;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .crop(left, top, width, height);
    let from = ImageRef::new(canvas.width as u32, canvas.height as u32, &canvas.rgb, PixelType::U8x3)
        .expect("a canvas has three bytes a pixel");
    let mut to = Image::new(to_width as u32, to_height as u32, PixelType::U8x3);
    Resizer::new()
        .resize(&from, &mut to, &options)
        .expect("the box lies inside the image and the formats agree");
    to.into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::rng;
    use image::Rgba;
    use rand::RngCore;

    const RED: Rgba<u8> = Rgba([255, 0, 0, 255]);

    /// Values in `0..=1` with no normalisation, so that colours can be read off.
    fn plain(size: usize, resize: Resize) -> PreprocessSpec {
        PreprocessSpec { size, resize, mean: [0.0, 0.0, 0.0], std: [1.0, 1.0, 1.0] }
    }

    fn eval(spec: PreprocessSpec, image: &RgbaImage) -> Vec<f32> {
        let mut out = vec![f32::NAN; 3 * spec.size * spec.size];
        ImageTransform::eval(spec).apply(image, &mut rng(0), &mut out);
        out
    }

    #[test]
    fn channels_are_planar_and_normalised() {
        let spec = PreprocessSpec::imagenet(8);
        let out = eval(spec.clone(), &RgbaImage::from_pixel(20, 20, RED));
        for (channel, value) in [(0, 255), (1, 0), (2, 0)] {
            let plane = &out[channel * 64..(channel + 1) * 64];
            assert!(plane.iter().all(|pixel| *pixel == spec.normalise(value, channel)), "channel {channel}");
        }
    }

    #[test]
    fn wide_images_are_padded_cropped_or_squashed() {
        // Twice as wide as high: a red left half, a blue right half.
        let image = RgbaImage::from_fn(32, 16, |x, _| if x < 16 { RED } else { Rgba([0, 0, 255, 255]) });
        let at =
            |out: &[f32], x: usize, y: usize| [out[y * 16 + x], out[256 + y * 16 + x], out[512 + y * 16 + x]];

        let padded = eval(plain(16, Resize::PadMean), &image);
        assert_eq!(at(&padded, 3, 0), [0.0, 0.0, 0.0], "the mean of this spec is black");
        assert_eq!(at(&padded, 3, 8), [1.0, 0.0, 0.0]);
        assert_eq!(at(&padded, 12, 8), [0.0, 0.0, 1.0]);
        assert_eq!(at(&padded, 3, 15), [0.0, 0.0, 0.0]);

        for rule in [Resize::Crop, Resize::Squash] {
            let filled = eval(plain(16, rule), &image);
            assert_eq!(at(&filled, 2, 0), [1.0, 0.0, 0.0], "{rule:?}");
            assert_eq!(at(&filled, 13, 15), [0.0, 0.0, 1.0], "{rule:?}");
        }
    }

    #[test]
    fn transparent_pictures_lie_on_white_also_around() {
        let image = RgbaImage::from_pixel(16, 4, Rgba([255, 0, 0, 0]));
        assert!(eval(plain(8, Resize::PadMean), &image).iter().all(|value| *value == 1.0));
        let half = eval(plain(8, Resize::Squash), &RgbaImage::from_pixel(8, 8, Rgba([255, 0, 0, 128])));
        assert!((half[64] - 127.0 / 255.0).abs() < 1e-3, "{}", half[64]);
    }

    /// Catmull-Rom keeps a linear ramp linear; nearest-neighbour and box filters at fractional steps do not.
    #[test]
    fn the_kernel_keeps_a_ramp() {
        let image = RgbaImage::from_fn(60, 60, |x, _| Rgba([4 * x as u8, 0, 0, 255]));
        let out = eval(plain(40, Resize::Squash), &image);
        for (x, value) in out[..40].iter().enumerate().skip(3).take(34) {
            let expected = 4.0 * ((x as f32 + 0.5) * 1.5 - 0.5) / 255.0;
            assert!((value - expected).abs() < 1.0 / 255.0, "{x}: {value} {expected}");
        }
    }

    #[test]
    fn evaluation_draws_nothing() {
        let mut used = rng(1);
        let mut out = vec![0.0; 3 * 64];
        ImageTransform::eval(plain(8, Resize::Crop)).apply(&RgbaImage::new(9, 9), &mut used, &mut out);
        assert_eq!(used.next_u64(), rng(1).next_u64());
    }

    #[test]
    fn a_large_source_is_reduced_before_it_is_warped() {
        // One-pixel stripes: without the reduction the warp would see stripes, with it an even grey.
        let image = RgbaImage::from_fn(512, 256, |x, _| Rgba([255 * (x % 2) as u8, 0, 0, 255]));
        let mut out = vec![0.0; 3 * 256];
        let transform = ImageTransform::train(plain(16, Resize::Crop), Augment::none());
        transform.apply(&image, &mut rng(0), &mut out);
        assert!(out[..256].iter().all(|red| (red - 0.5).abs() < 0.05), "{:?}", &out[..16]);
    }

    #[test]
    #[should_panic(expected = "the output must be [3, 8, 8]")]
    fn a_wrong_output_size_panics() {
        ImageTransform::eval(plain(8, Resize::Crop)).apply(&RgbaImage::new(9, 9), &mut rng(0), &mut [0.0; 4]);
    }
}
