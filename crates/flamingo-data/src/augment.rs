//! Random geometry and colour for training images.
//!
//! The whole geometry (flip, rotation, scale, shear, translation and the resize itself) is one affine map from
//! target to source, sampled bilinearly. All colour changes are affine in RGB, so they are one 3x3 matrix and one
//! offset per image.

use std::array;

use flamingo_core::{PreprocessSpec, Resize};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::resample::Raster;
use crate::transform::Canvas;

/// How strongly training images are changed. Ranges are symmetric around "no change" unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Probability of a mirror image. 0 where images show text, or where left and right are told apart.
    pub flip: f32,
    /// Largest rotation, in degrees.
    pub rotate: f32,
    /// Smallest and largest zoom; 1 keeps the size.
    pub scale: (f32, f32),
    /// Largest shift in each direction, as a fraction of the side.
    pub translate: f32,
    /// Largest horizontal shear, in degrees.
    pub shear: f32,
    /// Brightness factor within `1 ± brightness`.
    pub brightness: f32,
    /// Contrast factor (around the image's mean grey) within `1 ± contrast`.
    pub contrast: f32,
    /// Saturation factor within `1 ± saturation`.
    pub saturation: f32,
    /// Largest turn of the hue, in degrees.
    pub hue: f32,
    /// Probability of a grey image.
    pub grey: f32,
    /// Probability that a transparent picture lies on a random plain colour instead of white.
    pub background: f32,
}

impl Augment {
    /// No change at all; the base for configurations that want one or two of them.
    pub fn none() -> Self {
        Self {
            flip: 0.0,
            rotate: 0.0,
            scale: (1.0, 1.0),
            translate: 0.0,
            shear: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grey: 0.0,
            background: 0.0,
        }
    }

    /// The paper's kind: flips and colour, with a little geometry.
    pub fn light() -> Self {
        Self {
            flip: 0.5,
            rotate: 5.0,
            scale: (0.9, 1.1),
            translate: 0.05,
            brightness: 0.2,
            contrast: 0.2,
            saturation: 0.2,
            hue: 5.0,
            ..Self::none()
        }
    }

    /// For small sets of drawings, where a few thousand pictures have to teach what stays the same between styles.
    pub fn strong() -> Self {
        Self {
            flip: 0.5,
            rotate: 20.0,
            scale: (0.75, 1.15),
            translate: 0.1,
            shear: 10.0,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.6,
            hue: 20.0,
            grey: 0.15,
            background: 0.25,
        }
    }

    /// The same without mirror images; all other draws stay as they were.
    pub fn without_flips(self) -> Self {
        Self { flip: 0.0, ..self }
    }

    /// Draws one image's changes. The number of draws does not depend on the values.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> Drawn {
        let mut unit = || rng.random::<f32>();
        let flip = unit() < self.flip;
        let grey = unit() < self.grey;
        let plain = unit() < self.background;
        let colour = array::from_fn(|_| (unit() * 255.0).round() as u8);
        let (low, high) = self.scale;
        let scale = low + (high - low) * unit();
        let mut within = |range: f32| range * (2.0 * unit() - 1.0);
        Drawn {
            background: plain.then_some(colour),
            flip,
            angle: within(self.rotate).to_radians(),
            // A zoom of nothing would have no inverse.
            scale: scale.max(1e-3),
            shift: [within(self.translate), within(self.translate)],
            shear: within(self.shear).to_radians().tan(),
            colours: ColourChange {
                brightness: 1.0 + within(self.brightness),
                contrast: 1.0 + within(self.contrast),
                saturation: if grey { 0.0 } else { 1.0 + within(self.saturation) },
                hue: within(self.hue),
            },
        }
    }
}

/// The changes drawn for one image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawn {
    /// A plain colour for transparent pictures; `None` for white.
    pub(crate) background: Option<[u8; 3]>,
    pub(crate) flip: bool,
    angle: f32,
    scale: f32,
    shift: [f32; 2],
    shear: f32,
    pub(crate) colours: ColourChange,
}

impl Drawn {
    /// Whether the geometry is evaluation's, but for a mirror image.
    pub(crate) fn keeps_shape(&self) -> bool {
        self.angle == 0.0 && self.scale == 1.0 && self.shift == [0.0; 2] && self.shear == 0.0
    }
}

/// Samples `canvas` at the target's pixels: `[I * I]` colours in `0..=1`.
pub(crate) fn warp(canvas: &Canvas, spec: &PreprocessSpec, drawn: &Drawn) -> Vec<[f32; 3]> {
    let size = spec.size as f32;
    // In pixels of the raster, of which the last may be of the picture in part.
    let share = canvas.picture.share as f32;
    let [width, height] = canvas.picture.size.map(|length| length as f32 / share);
    // Source pixels per target pixel, before augmentation.
    let [step_x, step_y] = match spec.resize {
        Resize::PadMean => [width.max(height) / size; 2],
        Resize::Crop => [width.min(height) / size; 2],
        Resize::Squash => [width / size, height / size],
    };
    // Target offset from its centre -> source offset from its centre, the inverse of scale · rotate · shear · flip.
    let (sin, cos) = drawn.angle.sin_cos();
    let mirror = if drawn.flip { -1.0 } else { 1.0 };
    let linear = [
        [mirror * (cos - drawn.shear * sin) / drawn.scale, mirror * (sin + drawn.shear * cos) / drawn.scale],
        [-sin / drawn.scale, cos / drawn.scale],
    ];
    let centre = [size * (0.5 + drawn.shift[0]), size * (0.5 + drawn.shift[1])];

    let mut pixels = Vec::with_capacity(spec.size * spec.size);
    for row in 0..spec.size {
        for column in 0..spec.size {
            let offset = [column as f32 + 0.5 - centre[0], row as f32 + 0.5 - centre[1]];
            let x = (linear[0][0] * offset[0] + linear[0][1] * offset[1]) * step_x + width / 2.0;
            let y = (linear[1][0] * offset[0] + linear[1][1] * offset[1]) * step_y + height / 2.0;
            // Pixel centres lie at halves.
            pixels.push(canvas.bilinear(x - 0.5, y - 0.5));
        }
    }
    pixels
}

impl Canvas {
    /// The colour at (`x`, `y`), in `0..=1`; pixel centres have whole coordinates.
    fn bilinear(&self, x: f32, y: f32) -> [f32; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (right, below) = (x - left, y - top);
        let (left, top) = (left as isize, top as isize);
        let corners = [
            (self.pixel(left, top), (1.0 - right) * (1.0 - below)),
            (self.pixel(left + 1, top), right * (1.0 - below)),
            (self.pixel(left, top + 1), (1.0 - right) * below),
            (self.pixel(left + 1, top + 1), right * below),
        ];
        array::from_fn(|channel| {
            corners.iter().map(|(pixel, weight)| f32::from(pixel[channel]) * weight).sum::<f32>() / 255.0
        })
    }

    fn pixel(&self, x: isize, y: isize) -> [u8; 3] {
        let Raster { width, height, bytes } = &self.picture.raster;
        let inside = x >= 0 && y >= 0 && (x as usize) < *width && (y as usize) < *height;
        if !inside {
            return self.outside;
        }
        let start = 3 * (y as usize * width + x as usize);
        [bytes[start], bytes[start + 1], bytes[start + 2]]
    }
}

/// Rec. 601 luma.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// One change of an image's colours: first brightness, then contrast, saturation and hue.
///
/// Brightness, contrast and saturation are torchvision's `adjust_*`, but for colours out of range in between: they are
/// cut off once, at the end. The hue is turned about the axis of greys in RGB, which keeps the mean of the three channels.
/// torchvision's `adjust_hue` turns it in HSV, which keeps the largest of them: it is another change of about the same
/// size, and the same one only at multiples of 120 degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourChange {
    /// A factor of all colours.
    pub brightness: f32,
    /// A factor of the distance from the image's mean grey.
    pub contrast: f32,
    /// A factor of the distance from a pixel's own grey; 0 makes the image grey.
    pub saturation: f32,
    /// A turn of the hue, in degrees, from red to green.
    pub hue: f32,
}

impl ColourChange {
    /// No change.
    pub const NONE: Self = Self { brightness: 1.0, contrast: 1.0, saturation: 1.0, hue: 0.0 };

    /// Changes the colours of an image `[H * W]` in place; they stay in `0..=1`.
    pub fn apply(&self, pixels: &mut [[f32; 3]]) {
        let sum = pixels.iter().fold([0.0f32; 3], |sum, pixel| array::from_fn(|c| sum[c] + pixel[c]));
        let mean_grey = dot(LUMA, sum) / pixels.len().max(1) as f32;
        let gain = self.brightness * self.contrast;
        let matrix = self.chroma().map(|row| row.map(|value| value * gain));
        let offset = self.brightness * (1.0 - self.contrast) * mean_grey;
        for pixel in pixels {
            *pixel = matrix.map(|row| (dot(row, *pixel) + offset).clamp(0.0, 1.0));
        }
    }

    /// Saturation and hue: the grey axis stays, the plane across it is scaled and turned.
    fn chroma(&self) -> [[f32; 3]; 3] {
        let (sin, cos) = self.hue.to_radians().sin_cos();
        let third = 1.0 / 3.0;
        // Rotation about (1, 1, 1) (Rodrigues), acting on the difference from luma.
        let (a, b) = (cos + third * (1.0 - cos), third.sqrt() * sin);
        let c = third * (1.0 - cos);
        let turn = [[a, c - b, c + b], [c + b, a, c - b], [c - b, c + b, a]];
        array::from_fn(|row| {
            array::from_fn(|column| {
                // The rotation keeps greys, so `turn · luma-grey = luma-grey`.
                self.saturation * (turn[row][column] - LUMA[column]) + LUMA[column]
            })
        })
    }
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageTransform;
    use crate::fixtures::rng;
    use crate::image::Opaque;
    use image::{Rgba, RgbaImage};

    fn spec(size: usize) -> PreprocessSpec {
        PreprocessSpec { mean: [0.0; 3], std: [1.0; 3], ..PreprocessSpec::imagenet(size) }
    }

    fn apply(augment: Augment, image: &RgbaImage, size: usize, seed: u64) -> Vec<f32> {
        let mut out = vec![0.0; 3 * size * size];
        ImageTransform::train(spec(size), augment).apply(image, &mut rng(seed), &mut out);
        out
    }

    /// Smooth, colourful and without symmetry.
    fn scene(side: u32) -> RgbaImage {
        RgbaImage::from_fn(side, side, |x, y| {
            let wave = |value: f32| (127.0 + 100.0 * value.sin()) as u8;
            let (x, y) = (x as f32 / side as f32, y as f32 / side as f32);
            Rgba([wave(5.0 * x + 1.0), wave(4.0 * y + 3.0 * x), wave(6.0 * y), 255])
        })
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
    }

    #[test]
    fn no_change_is_the_evaluation_path() {
        let image = scene(64);
        let mut eval = vec![0.0; 3 * 48 * 48];
        ImageTransform::eval(spec(48)).apply(&image, &mut rng(0), &mut eval);
        let warped = apply(Augment::none(), &image, 48, 7);
        assert!(distance(&eval, &warped) < 0.005, "{}", distance(&eval, &warped));
        assert_eq!(apply(Augment::none(), &image, 64, 7)[0], f32::from(image[(0, 0)].0[0]) / 255.0);
    }

    #[test]
    fn a_flip_mirrors() {
        let image = scene(32);
        let mirrored = image::imageops::flip_horizontal(&image);
        let flipped = apply(Augment { flip: 1.0, ..Augment::none() }, &image, 32, 3);
        assert!(distance(&flipped, &apply(Augment::none(), &mirrored, 32, 3)) < 1e-5);
    }

    #[test]
    fn without_flips_nothing_is_mirrored_and_nothing_else_changes() {
        let mut flips = 0;
        for seed in 0..2000 {
            let [with, without] = [Augment::strong(), Augment::strong().without_flips()]
                .map(|augment| augment.draw(&mut rng(seed)));
            flips += usize::from(with.flip);
            assert_eq!(without, Drawn { flip: false, ..with });
        }
        assert!((900..1100).contains(&flips), "{flips} of 2000");
    }

    #[test]
    fn a_rotation_turns_about_the_centre() {
        // A dot right of the centre, turned by exactly ± 90 degrees, is below or above it.
        let mut image = RgbaImage::from_pixel(33, 33, Rgba([0, 0, 0, 255]));
        image.put_pixel(26, 16, Rgba([255; 4]));
        let drawn = Drawn { angle: 90f32.to_radians(), ..Augment::none().draw(&mut rng(0)) };
        let bytes = image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        let picture = Opaque::whole(Raster { width: 33, height: 33, bytes });
        let canvas = Canvas { picture, outside: [0; 3] };
        let turned = warp(&canvas, &spec(33), &drawn);
        let brightest = (0..turned.len()).max_by(|a, b| turned[*a][0].total_cmp(&turned[*b][0])).unwrap();
        assert_eq!((brightest % 33, brightest / 33), (16, 26));
    }

    #[test]
    fn what_a_zoom_uncovers_is_the_background_of_transparent_pictures() {
        let mut image = RgbaImage::from_pixel(16, 16, Rgba([10, 20, 30, 255]));
        image.put_pixel(0, 0, Rgba([0; 4]));
        let half = Augment { scale: (0.5, 0.5), ..Augment::none() };
        assert_eq!(apply(half.clone(), &image, 16, 0)[16 + 1], 1.0);
        image.put_pixel(0, 0, Rgba([10, 20, 30, 255]));
        assert_eq!(apply(half, &image, 16, 0)[16 + 1], 0.0, "the mean colour of this spec");
    }

    #[test]
    fn grey_has_no_chroma_and_colours_stay_in_range() {
        let grey = apply(Augment { grey: 1.0, ..Augment::none() }, &scene(16), 16, 0);
        for index in 0..256 {
            assert!((grey[index] - grey[256 + index]).abs() < 1e-5);
            assert!((grey[index] - grey[512 + index]).abs() < 1e-5);
        }
        for seed in 0..20 {
            let wild = Augment { brightness: 0.9, contrast: 0.9, hue: 180.0, ..Augment::strong() };
            assert!(apply(wild, &scene(16), 16, seed).iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }

    #[test]
    fn a_full_turn_of_the_hue_changes_nothing_and_a_third_swaps_channels() {
        let colours = |hue: f32| {
            let mut pixels = [[1.0, 0.0, 0.0]];
            ColourChange { hue, ..ColourChange::NONE }.apply(&mut pixels);
            pixels[0]
        };
        for (hue, expected) in [(360.0, [1.0, 0.0, 0.0]), (120.0, [0.0, 1.0, 0.0]), (240.0, [0.0, 0.0, 1.0])]
        {
            assert!(distance(&colours(hue), &expected) < 1e-5, "{hue}: {:?}", colours(hue));
        }
    }

    #[test]
    fn one_seed_gives_one_image() {
        let image = scene(64);
        assert_eq!(apply(Augment::strong(), &image, 48, 5), apply(Augment::strong(), &image, 48, 5));
        assert!(
            distance(&apply(Augment::strong(), &image, 48, 5), &apply(Augment::strong(), &image, 48, 6))
                > 0.01
        );
    }
}
