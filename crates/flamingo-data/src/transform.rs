//! Decoded images to an encoder's input: resized, on a plain background, normalised, planar.
//!
//! Two ways lead to the same geometry. Where the shape stays (evaluation; training with mirror images and colours only)
//! the image is resized once, with the kernel of the encoder's rule. Otherwise a random affine map goes straight from the
//! source to the target ([`crate::augment`]), so that training pays for one sampling only.
//!
//! How exactly, [`Fidelity`] says: evaluation decodes and resizes as PIL does it, bit for bit; training in the fastest way,
//! which also decodes large JPEGs at a fraction of their size (PIL's draft mode).
//!
//! Unless the encoder's rule is to forget transparency, transparent pictures lie on a plain background, white unless
//! augmentation draws another colour; the space around them (padding, or what a rotation uncovers) has the same
//! colour, because a transparent picture has no edge. The space around opaque images is the mean colour, as in the
//! paper.

use std::array;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use flamingo_core::{Alpha, Filter, PreprocessSpec, Resize};
use image::RgbaImage;
use rand::Rng;

use crate::DataError;
use crate::augment::{Augment, ColourChange, warp};
use crate::image::{Opaque, Picture, read as read_image};
use crate::resample::{Raster, Span};

/// An opaque 8-bit image and the colour around it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Canvas {
    pub(crate) picture: Opaque,
    /// The colour outside the image.
    pub(crate) outside: [u8; 3],
}

/// How exactly pixels are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fidelity {
    /// As PIL, bit for bit.
    Exact,
    /// With vector instructions, the same kernel and weights of fewer bits: a few of 255 off at most, and three to five
    /// times as fast. JPEGs are decoded at the smallest of 1/8, 1/4 and 1/2 that is not smaller than what is wanted.
    Fast,
}

/// Turns decoded images into `[3, I, I]` inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageTransform {
    /// Size, resizing rule and normalisation of the encoder.
    pub spec: PreprocessSpec,
    /// Random changes while training; `None` when evaluating.
    pub augment: Option<Augment>,
    /// How exactly pixels are computed. Random geometry and transparent pictures are the same with both, once decoded.
    pub fidelity: Fidelity,
}

impl ImageTransform {
    /// [`train`](Self::train) with random changes, [`eval`](Self::eval) without.
    pub fn new(spec: PreprocessSpec, augment: Option<Augment>) -> Self {
        match augment {
            Some(augment) => Self::train(spec, augment),
            None => Self::eval(spec),
        }
    }

    /// The transform of evaluation and inference: exact, no randomness.
    pub fn eval(spec: PreprocessSpec) -> Self {
        Self { spec, augment: None, fidelity: Fidelity::Exact }
    }

    /// The transform of training: fast.
    pub fn train(spec: PreprocessSpec, augment: Augment) -> Self {
        Self { spec, augment: Some(augment), fidelity: Fidelity::Fast }
    }

    /// Decodes an encoded image as far as this transform needs it, and writes it to `out` as [`apply`](Self::apply) does.
    /// `name` is what errors call the image.
    ///
    /// With [`Fidelity::Exact`] it is [`decode`](crate::image::decode) and [`apply`](Self::apply), only faster.
    ///
    /// # Errors
    ///
    /// As [`decode`](crate::image::decode); `out` is left as it was.
    ///
    /// # Panics
    ///
    /// If `out` has not `3 * I * I` elements, or if `I` is 0.
    pub fn read(
        &self,
        bytes: &[u8],
        name: &str,
        rng: &mut impl Rng,
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let enough = |size| self.fidelity == Fidelity::Fast && self.suffices(size);
        match read_image(bytes, name, enough)? {
            Picture::Any(image) => self.apply(&image, rng, out),
            Picture::Opaque(picture) => self.write(View::Opaque(picture), rng, out),
        }
        Ok(())
    }

    /// Writes `image`, normalised, to `out` as `[3, I, I]`.
    ///
    /// The result is a function of the image and of `rng`'s state; without augmentation nothing is drawn from `rng`.
    ///
    /// # Panics
    ///
    /// If `out` has not `3 * I * I` elements, if `I` is 0, or if the image has no pixels.
    pub fn apply(&self, image: &RgbaImage, rng: &mut impl Rng, out: &mut [f32]) {
        self.write(View::Any(image), rng, out);
    }

    /// Whether an image decoded at this size has every pixel that could be told apart afterwards.
    fn suffices(&self, [width, height]: [u32; 2]) -> bool {
        let zoom = self.augment.as_ref().map_or(1.0, |augment| augment.scale.1.max(1.0));
        let decisive = match self.spec.resize {
            Resize::PadMean => width.max(height),
            Resize::Crop | Resize::Squash => width.min(height),
        };
        f64::from(decisive) >= self.spec.size as f64 * f64::from(zoom)
    }

    fn write(&self, view: View<'_>, rng: &mut impl Rng, out: &mut [f32]) {
        let size = self.spec.size;
        assert_eq!(out.len(), 3 * size * size, "the output must be [3, {size}, {size}]");
        assert!(size > 0 && view.has_pixels(), "images must have pixels");
        let Some(augment) = &self.augment else {
            return self.normalise(&fit(view, WHITE, &self.spec, self.fidelity), out);
        };
        let drawn = augment.draw(rng);
        let background = drawn.background.unwrap_or(WHITE);
        let mut pixels = if drawn.keeps_shape() {
            let mut pixels = fit(view, background, &self.spec, self.fidelity);
            if drawn.flip {
                mirror(&mut pixels, size);
            }
            if drawn.colours == ColourChange::NONE {
                return self.normalise(&pixels, out);
            }
            pixels.as_chunks().0.iter().map(|pixel: &[u8; 3]| pixel.map(|it| f32::from(it) / 255.0)).collect()
        } else {
            let canvas = reduce(flatten(view, background, &self.spec), 2 * size);
            warp(&canvas, &self.spec, &drawn)
        };
        drawn.colours.apply(&mut pixels);
        for (channel, plane) in out.chunks_exact_mut(size * size).enumerate() {
            let (mean, std) = (self.spec.mean[channel], self.spec.std[channel]);
            for (value, pixel) in plane.iter_mut().zip(&pixels) {
                *value = (pixel[channel] - mean) / std;
            }
        }
    }

    /// `[I, I, 3]` to normalised `[3, I, I]`.
    fn normalise(&self, pixels: &[u8], out: &mut [f32]) {
        let (pixels, _) = pixels.as_chunks::<3>();
        for (channel, plane) in out.chunks_exact_mut(pixels.len()).enumerate() {
            let table: [f32; 256] = array::from_fn(|value| self.spec.normalise(value as u8, channel));
            for (value, pixel) in plane.iter_mut().zip(pixels) {
                *value = table[usize::from(pixel[channel])];
            }
        }
    }
}

/// What a transform begins with.
enum View<'a> {
    /// Perhaps transparent somewhere.
    Any(&'a RgbaImage),
    Opaque(Opaque),
}

impl View<'_> {
    fn has_pixels(&self) -> bool {
        match self {
            Self::Any(image) => image.width() > 0 && image.height() > 0,
            Self::Opaque(picture) => !picture.raster.bytes.is_empty(),
        }
    }
}

const WHITE: [u8; 3] = [255; 3];

/// Swaps left and right of `[I, I, 3]`.
fn mirror(pixels: &mut [u8], size: usize) {
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    pixels.chunks_exact_mut(size).for_each(<[_]>::reverse);
}

fn is_opaque(image: &RgbaImage) -> bool {
    let (pixels, _) = image.as_raw().as_chunks::<4>();
    pixels.iter().fold(255, |all, pixel| all & pixel[3]) == 255
}

/// An image without its transparency.
fn opaque(image: &RgbaImage) -> Raster {
    let (pixels, _) = image.as_raw().as_chunks::<4>();
    let mut bytes = vec![0; 3 * pixels.len()];
    for (to, [red, green, blue, _]) in bytes.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
        *to = [*red, *green, *blue];
    }
    Raster { width: image.width() as usize, height: image.height() as usize, bytes }
}

/// Lays an image on a plain background, or cuts its transparency off.
fn flatten(view: View<'_>, background: [u8; 3], spec: &PreprocessSpec) -> Canvas {
    let image = match view {
        View::Opaque(picture) => return Canvas { picture, outside: spec.mean_colour() },
        View::Any(image) => image,
    };
    if spec.alpha == Alpha::Drop || is_opaque(image) {
        return Canvas { picture: Opaque::whole(opaque(image)), outside: spec.mean_colour() };
    }
    let bytes = image.pixels().flat_map(|pixel| {
        let [red, green, blue, alpha] = pixel.0;
        let over = |above: u8, below: u8| {
            let sum = u32::from(above) * u32::from(alpha) + u32::from(below) * u32::from(255 - alpha);
            ((sum + 127) / 255) as u8
        };
        [over(red, background[0]), over(green, background[1]), over(blue, background[2])]
    });
    let raster =
        Raster { width: image.width() as usize, height: image.height() as usize, bytes: bytes.collect() };
    Canvas { picture: Opaque::whole(raster), outside: background }
}

/// Shrinks an image so that its shorter side is at most `side`, lest bilinear sampling skip pixels of large images.
fn reduce(canvas: Canvas, side: usize) -> Canvas {
    let Opaque { raster, size, share } = &canvas.picture;
    let shorter = raster.width.min(raster.height);
    if shorter <= side {
        return canvas;
    }
    let spans = size.map(|length| {
        let pixels = length.div_ceil(*share as usize);
        Span::whole(length, (pixels * side).div_ceil(shorter)).shrunk(*share)
    });
    let raster = fast_resize(raster, spans, Filter::Bicubic);
    Canvas { picture: Opaque::whole(raster), ..canvas }
}

/// Resizes a part of an opaque image with vector instructions.
fn fast_resize(raster: &Raster, [across, down]: [Span; 2], filter: Filter) -> Raster {
    let from = ImageRef::new(raster.width as u32, raster.height as u32, &raster.bytes, PixelType::U8x3)
        .expect("an opaque image has three bytes a pixel");
    let mut to = Image::new(across.pixels as u32, down.pixels as u32, PixelType::U8x3);
    let kernel = match filter {
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Bilinear => FilterType::Bilinear,
    };
    let [width, height] = [inside(across, raster.width), inside(down, raster.height)];
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel)).crop(
        across.start,
        down.start,
        width,
        height,
    );
    Resizer::new().resize(&from, &mut to, &options).expect("a part of the image, in its format");
    Raster { width: across.pixels, height: down.pixels, bytes: to.into_vec() }
}

/// The length of a span that does not leave a side of `length` pixels, which a rounded sum may do.
fn inside(span: Span, length: usize) -> f64 {
    let length = length as f64;
    if span.start + span.length <= length { span.length } else { (length - span.start) * (1.0 - 1e-12) }
}

/// Resizes to `[I, I, 3]` by the rules of `spec`.
fn fit(view: View<'_>, background: [u8; 3], spec: &PreprocessSpec, fidelity: Fidelity) -> Vec<u8> {
    let (resized, outside) = match view {
        View::Any(image) if spec.alpha == Alpha::Drop && !is_opaque(image) => {
            let raster = Raster::premultiplied(image);
            let target = target([raster.width, raster.height], spec);
            (raster.resize(target, spec.filter).without_alpha(), spec.mean_colour())
        }
        _ => {
            let Canvas { picture: Opaque { raster, size, share }, outside } = flatten(view, background, spec);
            let target = target(size, spec).map(|span| span.shrunk(share));
            let resized = match fidelity {
                Fidelity::Exact => raster.resize(target, spec.filter),
                Fidelity::Fast => fast_resize(&raster, target, spec.filter),
            };
            (resized, outside)
        }
    };
    pad(resized, spec.size, outside)
}

/// Which part of each side the encoder sees, and how large.
fn target(whole @ [width, height]: [usize; 2], spec: &PreprocessSpec) -> [Span; 2] {
    let size = spec.size;
    whole.map(|length| match spec.resize {
        Resize::Squash => Span::whole(length, size),
        Resize::Crop => {
            // In pixels of the resized image, of which only the centre is computed.
            let resized = size * length / width.min(height);
            let step = length as f64 / resized as f64;
            let start = half_to_even(resized - size) as f64 * step;
            Span { start, length: size as f64 * step, pixels: size }
        }
        Resize::PadMean => {
            let ratio = width.max(height) as f64 / size as f64;
            Span::whole(length, ((length as f64 / ratio).round_ties_even() as usize).max(1))
        }
    })
}

/// Half of `length`, rounded to the even neighbour as Python does.
fn half_to_even(length: usize) -> usize {
    let half = length / 2;
    half + (length % 2) * (half % 2)
}

/// Centres an image in a square of `size` pixels; `[size, size, 3]`.
fn pad(inner: Raster, size: usize, outside: [u8; 3]) -> Vec<u8> {
    if (inner.width, inner.height) == (size, size) {
        return inner.bytes;
    }
    let (left, top) = ((size - inner.width) / 2, (size - inner.height) / 2);
    let mut padded = outside.repeat(size * size);
    for (row, line) in inner.bytes.chunks_exact(3 * inner.width).enumerate() {
        let start = 3 * ((top + row) * size + left);
        padded[start..start + line.len()].copy_from_slice(line);
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{png, rng};
    use image::Rgba;
    use libjpeg_turbo_rs::{PixelFormat, Subsampling};
    use rand::RngCore;

    const RED: Rgba<u8> = Rgba([255, 0, 0, 255]);

    /// Values in `0..=1` with no normalisation, so that colours can be read off.
    fn plain(size: usize, resize: Resize) -> PreprocessSpec {
        PreprocessSpec { size, resize, mean: [0.0; 3], std: [1.0; 3], ..PreprocessSpec::imagenet(size) }
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

    /// The part that a crop takes may pass the border by a rounding error; the fast resize would panic.
    #[test]
    fn no_part_leaves_its_image() {
        let spec = plain(224, Resize::Crop);
        let mut beyond = 0;
        for (width, height) in (1..1500).flat_map(|side| [(side, 7 * side % 1301 + 1), (1024, side)]) {
            for (span, length) in target([width, height], &spec).into_iter().zip([width, height]) {
                beyond += usize::from(span.start + span.length > length as f64);
                let kept = inside(span, length);
                assert!(
                    span.start + kept <= length as f64 && kept > span.length * 0.999,
                    "{width} x {height}"
                );
            }
        }
        assert!(beyond > 0, "there is nothing to keep inside");
    }

    /// Training's resize is evaluation's within 2 of 255, mirrored or not, by every rule.
    #[test]
    fn training_without_geometry_is_evaluation_nearly() {
        let image = RgbaImage::from_fn(61, 47, |x, y| {
            Rgba([(x * 37 + y * 11) as u8, (x * y) as u8, (y * 5) as u8, 255])
        });
        for rule in [Resize::PadMean, Resize::Crop, Resize::Squash] {
            let spec = plain(16, rule);
            let exact = eval(spec.clone(), &image);
            for flip in [0.0, 1.0] {
                let mut fast = vec![f32::NAN; 3 * 256];
                let augment = Augment { flip, ..Augment::none() };
                ImageTransform::train(spec.clone(), augment).apply(&image, &mut rng(0), &mut fast);
                if flip == 1.0 {
                    fast.chunks_exact_mut(16).for_each(<[f32]>::reverse);
                }
                let worst = fast.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= 2.0 / 255.0 + 1e-6, "{rule:?}, flip {flip}: {}", worst * 255.0);
            }
        }
    }

    /// Waves of several lengths, edges and grain, all different in each channel.
    fn scene(width: u32, height: u32) -> image::RgbImage {
        image::RgbImage::from_fn(width, height, |x, y| {
            let grain = ((x * 7919 + y * 104_729) % 17) as f32 - 8.0;
            let (x, y) = (x as f32, y as f32);
            let edge = if (x + 0.7 * y) % 190.0 < 95.0 { 30.0 } else { -30.0 };
            let channel = |turn: f32| {
                let waves = 40.0 * (x / 60.0 + turn).sin() + 25.0 * (y / 23.0 - x / 41.0 + turn).cos();
                (127.0 + waves + edge + grain) as u8
            };
            image::Rgb([channel(0.0), channel(2.0), channel(4.0)])
        })
    }

    fn jpeg(image: &image::RgbImage, sampling: Subsampling) -> Vec<u8> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        libjpeg_turbo_rs::compress(image, width, height, PixelFormat::Rgb, 90, sampling).unwrap()
    }

    fn read(transform: &ImageTransform, bytes: &[u8], seed: u64) -> Vec<f32> {
        let mut out = vec![f32::NAN; 3 * transform.spec.size * transform.spec.size];
        transform.read(bytes, "a picture", &mut rng(seed), &mut out).unwrap();
        out
    }

    /// Mean and largest distance, in steps of 255.
    fn distances(a: &[f32], b: &[f32]) -> (f32, f32) {
        let distances = a.iter().zip(b).map(|(a, b)| 255.0 * (a - b).abs());
        (distances.clone().sum::<f32>() / a.len() as f32, distances.fold(0.0, f32::max))
    }

    #[test]
    fn an_exact_transform_reads_what_it_would_apply() {
        let mut files = vec![jpeg(&scene(97, 61), Subsampling::S420), png(&RgbaImage::from_pixel(9, 9, RED))];
        files.push(png(&RgbaImage::from_fn(31, 17, |x, y| Rgba([8 * x as u8, 200, 3, 15 * y as u8]))));
        let mut grey = std::io::Cursor::new(Vec::new());
        let picture = image::GrayImage::from_fn(40, 20, |x, _| image::Luma([6 * x as u8]));
        picture.write_to(&mut grey, image::ImageFormat::Png).unwrap();
        files.push(grey.into_inner());
        for bytes in files {
            for transform in [
                ImageTransform::eval(PreprocessSpec::clip(16)),
                ImageTransform {
                    fidelity: Fidelity::Exact,
                    ..ImageTransform::train(plain(8, Resize::PadMean), Augment::strong())
                },
            ] {
                let size = transform.spec.size;
                let mut applied = vec![f32::NAN; 3 * size * size];
                transform.apply(
                    &crate::image::decode(&bytes, "a picture").unwrap(),
                    &mut rng(3),
                    &mut applied,
                );
                assert_eq!(read(&transform, &bytes, 3), applied);
            }
        }
    }

    #[test]
    fn a_jpeg_is_decoded_as_small_as_is_enough() {
        let bytes = jpeg(&scene(1001, 750), Subsampling::S420);
        let share = |transform: &ImageTransform| {
            let enough = |size| transform.fidelity == Fidelity::Fast && transform.suffices(size);
            let Picture::Opaque(picture) = crate::image::read(&bytes, "a picture", enough).unwrap() else {
                panic!("a JPEG is opaque")
            };
            assert_eq!(picture.size, [1001, 750]);
            let sides = [picture.raster.width, picture.raster.height];
            assert_eq!(sides, picture.size.map(|side| side.div_ceil(picture.share as usize)));
            picture.share
        };
        let train = |size, rule, zoom| {
            ImageTransform::train(plain(size, rule), Augment { scale: (1.0, zoom), ..Augment::none() })
        };
        assert_eq!(share(&ImageTransform::eval(plain(24, Resize::Crop))), 1);
        for (size, rule, zoom, expected) in [
            (24, Resize::Crop, 1.0, 8),
            (94, Resize::Crop, 1.0, 8),
            (95, Resize::Crop, 1.0, 4),
            (188, Resize::Squash, 1.0, 4),
            (188, Resize::Squash, 1.1, 2),
            (224, Resize::Crop, 1.0, 2),
            (224, Resize::PadMean, 1.0, 4),
            (224, Resize::PadMean, 1.2, 2),
            (376, Resize::Crop, 1.0, 1),
        ] {
            assert_eq!(share(&train(size, rule, zoom)), expected, "{size} {rule:?} {zoom}");
        }
    }

    /// Against the exact resize of the whole decoded picture, at every fraction and at sizes that no fraction divides.
    #[test]
    fn a_fraction_of_a_jpeg_is_the_whole_nearly() {
        for (width, height) in [(1000, 752), (1001, 751), (763, 1235), (449, 3001)] {
            for sampling in [Subsampling::S420, Subsampling::S444] {
                let bytes = jpeg(&scene(width, height), sampling);
                for rule in [Resize::PadMean, Resize::Crop, Resize::Squash] {
                    for size in [48, 100, 224] {
                        let spec = plain(size, rule);
                        let exact = read(&ImageTransform::eval(spec.clone()), &bytes, 0);
                        let fast = read(&ImageTransform::train(spec, Augment::none()), &bytes, 0);
                        let (mean, worst) = distances(&exact, &fast);
                        assert!(
                            mean < 2.0 && worst < 40.0,
                            "{width}x{height} {sampling:?} {rule:?} {size}: {mean} {worst}"
                        );
                    }
                }
            }
        }
    }

    /// The last pixel of a side stands for 1 of 8 pixels here. Without regard to that the right and lower border would
    /// be moved by most of a pixel.
    #[test]
    fn a_fraction_moves_nothing() {
        let stripes = |x: u32| (127.5 + 120.0 * (x as f32 / 16.0).sin()) as u8;
        let (width, height) = (513, 521);
        let picture =
            image::RgbImage::from_fn(width, height, |x, y| image::Rgb([stripes(x), stripes(y), 128]));
        let bytes = jpeg(&picture, Subsampling::S444);
        let spec = plain(64, Resize::Squash);
        let exact = read(&ImageTransform::eval(spec.clone()), &bytes, 0);
        let fast = read(&ImageTransform::train(spec, Augment::none()), &bytes, 0);
        let columns =
            |out: &[f32]| out[..64 * 64].chunks(64).flat_map(|row| row[52..60].to_vec()).collect::<Vec<_>>();
        let rows = |out: &[f32]| out[64 * 64 + 52 * 64..64 * 64 + 60 * 64].to_vec();
        let [across, down] =
            [distances(&columns(&exact), &columns(&fast)), distances(&rows(&exact), &rows(&fast))];
        assert!(across.0 < 1.5 && down.0 < 1.5, "{across:?} {down:?}");
    }

    /// Random geometry sees the same picture, whole or not.
    #[test]
    fn a_fraction_is_warped_as_the_whole() {
        let bytes = jpeg(&scene(1001, 751), Subsampling::S420);
        for rule in [Resize::PadMean, Resize::Crop, Resize::Squash] {
            let fast =
                ImageTransform::train(plain(96, rule), Augment { brightness: 0.0, ..Augment::light() });
            let whole = ImageTransform { fidelity: Fidelity::Exact, ..fast.clone() };
            for seed in 0..5 {
                let (mean, _) = distances(&read(&fast, &bytes, seed), &read(&whole, &bytes, seed));
                assert!(mean < 6.0, "{rule:?} {seed}: {mean}");
            }
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
        let transform =
            ImageTransform::train(plain(16, Resize::Crop), Augment { rotate: 0.1, ..Augment::none() });
        transform.apply(&image, &mut rng(0), &mut out);
        assert!(out[..256].iter().all(|red| (red - 0.5).abs() < 0.05), "{:?}", &out[..16]);
    }

    #[test]
    #[should_panic(expected = "the output must be [3, 8, 8]")]
    fn a_wrong_output_size_panics() {
        ImageTransform::eval(plain(8, Resize::Crop)).apply(&RgbaImage::new(9, 9), &mut rng(0), &mut [0.0; 4]);
    }

    /// Only the centre of a crop is ever computed: a strip of any length is fine.
    #[test]
    fn a_long_strip_is_cropped_without_being_enlarged_whole() {
        let image =
            RgbaImage::from_fn(100_001, 1, |x, _| if x == 50_000 { RED } else { Rgba([0, 0, 0, 255]) });
        let out = eval(plain(64, Resize::Crop), &image);
        assert!(out[32] > 0.9, "the one red pixel fills the target: {}", out[32]);
    }

    #[test]
    fn odd_margins_are_halved_to_the_even_side() {
        assert_eq!([0, 1, 2, 3, 4, 5, 7].map(half_to_even), [0, 0, 1, 2, 2, 2, 4]);
    }
}
