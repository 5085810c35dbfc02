//! Fingerprints by which near-duplicates of a picture are found: resized, recompressed, slightly retouched ones, but not
//! mirrored ones.
//!
//! The fingerprint is the classic one of 64 bits (`pHash`): the picture in grey at 32x32, its discrete cosine transform,
//! and for each of the 64 lowest frequencies whether it is above the median of them. Two fingerprints are compared by
//! the bits in which they differ: unrelated pictures differ in about 32 of them, copies in 0 to 6. A few colours
//! go with it, because pictures of a series ("before" and "after" of a filter) often have one structure.

use std::f64::consts::PI;

use image::RgbaImage;
use serde::{Deserialize, Serialize};

/// Side of the small picture.
const SIDE: usize = 32;

/// Frequencies in each direction.
const LOW: usize = 8;

/// What a picture looks like, in 64 bits and 12 colour values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Low frequencies above the median, one bit each.
    pub structure: u64,
    /// Mean red, green and blue of the four quarters.
    pub colours: [u8; 12],
}

impl Fingerprint {
    /// The fingerprint of a picture, transparent parts as on white paper.
    ///
    /// # Panics
    ///
    /// If the picture is empty.
    pub fn new(picture: &RgbaImage) -> Self {
        let small = shrink(picture);
        let grey = small.map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b);
        Self { structure: structure(&grey), colours: colours(&small) }
    }

    /// Bits in which the structures differ, 0 to 64.
    pub fn distance(&self, other: &Fingerprint) -> u32 {
        (self.structure ^ other.structure).count_ones()
    }

    /// Whether both are of one picture: structures that differ in `radius` bits at most, and about the same colours.
    pub fn is_near(&self, other: &Fingerprint, radius: u32) -> bool {
        let mut colours = self.colours.iter().zip(other.colours);
        self.distance(other) <= radius && colours.all(|(a, b)| a.abs_diff(b) <= COLOUR_RADIUS)
    }
}

/// How much the colours of one picture's copies may differ, of 255.
const COLOUR_RADIUS: u8 = 8;

/// Pictures that others must not be like.
///
/// The search is a plain scan: 100,000 fingerprints take about 100 microseconds, where decoding a picture takes
/// milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Exclusion {
    structures: Vec<u64>,
    radius: u32,
}

impl Exclusion {
    /// Excludes whatever differs from one of `pictures` in `radius` bits at most, whatever its colours.
    pub fn new(pictures: impl IntoIterator<Item = Fingerprint>, radius: u32) -> Self {
        let mut structures: Vec<u64> = pictures.into_iter().map(|print| print.structure).collect();
        structures.sort_unstable();
        structures.dedup();
        Self { structures, radius }
    }

    /// Whether a picture is like one of those excluded.
    pub fn contains(&self, print: &Fingerprint) -> bool {
        self.structures.iter().any(|structure| (structure ^ print.structure).count_ones() <= self.radius)
    }

    /// Different pictures that are excluded.
    pub fn len(&self) -> usize {
        self.structures.len()
    }

    /// Whether nothing is excluded.
    pub fn is_empty(&self) -> bool {
        self.structures.is_empty()
    }
}

/// The picture at 32x32: each cell is the mean of the pixels under it, on white.
fn shrink(picture: &RgbaImage) -> [[f64; 3]; SIDE * SIDE] {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    assert!(width > 0 && height > 0, "an empty picture has no fingerprint");
    let pixels = picture.as_raw();
    let span = |cell: usize, length: usize| {
        let start = cell * length / SIDE;
        start..((cell + 1) * length / SIDE).max(start + 1)
    };
    std::array::from_fn(|cell| {
        let (rows, columns) = (span(cell / SIDE, height), span(cell % SIDE, width));
        let count = (rows.len() * columns.len()) as f64;
        let mut sums = [0u64; 3];
        for row in rows {
            for pixel in
                pixels[4 * (row * width + columns.start)..4 * (row * width + columns.end)].chunks_exact(4)
            {
                let alpha = u64::from(pixel[3]);
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += u64::from(value) * alpha + 255 * (255 - alpha);
                }
            }
        }
        sums.map(|sum| sum as f64 / 255.0 / count)
    })
}

fn structure(grey: &[f64; SIDE * SIDE]) -> u64 {
    // The lowest frequency, the mean, tells nothing: frequencies 1 to 8 are taken, 0 left out in both directions.
    let wave: [[f64; SIDE]; LOW] = std::array::from_fn(|low| {
        std::array::from_fn(|at| (PI * (low + 1) as f64 * (at as f64 + 0.5) / SIDE as f64).cos())
    });
    let dot = |wave: &[f64; SIDE], value: &dyn Fn(usize) -> f64| -> f64 {
        wave.iter().enumerate().map(|(at, factor)| factor * value(at)).sum()
    };
    let rows: [[f64; SIDE]; LOW] = std::array::from_fn(|low| {
        std::array::from_fn(|row| dot(&wave[low], &|column| grey[row * SIDE + column]))
    });
    let frequencies: [f64; LOW * LOW] =
        std::array::from_fn(|index| dot(&wave[index / LOW], &|row| rows[index % LOW][row]));
    let mut sorted = frequencies;
    sorted.sort_unstable_by(f64::total_cmp);
    let median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2.0;
    frequencies.iter().enumerate().fold(0, |bits, (index, &value)| bits | u64::from(value > median) << index)
}

fn colours(small: &[[f64; 3]; SIDE * SIDE]) -> [u8; 12] {
    std::array::from_fn(|index| {
        let (quarter, channel) = (index / 3, index % 3);
        let (top, left) = (quarter / 2 * SIDE / 2, quarter % 2 * SIDE / 2);
        let cells = (0..SIDE * SIDE / 4).map(|cell| {
            let (row, column) = (top + cell / (SIDE / 2), left + cell % (SIDE / 2));
            small[row * SIDE + column][channel]
        });
        (cells.sum::<f64>() / (SIDE * SIDE / 4) as f64).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::imageops::{self, FilterType};
    use image::{DynamicImage, ImageFormat, Rgba};
    use std::io::Cursor;

    /// A picture of smooth spots; each seed gives another.
    fn spots(seed: u32, width: u32, height: u32) -> RgbaImage {
        let spot = |n: u32| {
            let mixed = (seed * 97 + n).wrapping_mul(2_654_435_761) >> 8;
            (
                f64::from(mixed % 100) / 100.0,
                f64::from(mixed / 100 % 100) / 100.0,
                f64::from(mixed / 10_000 % 200),
            )
        };
        RgbaImage::from_fn(width, height, |x, y| {
            let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let value = |channel: u32| {
                let glow = |(cx, cy, size): (f64, f64, f64)| {
                    size * (-150.0 * ((x - cx).powi(2) + (y - cy).powi(2))).exp()
                };
                (0..24).map(|n| glow(spot(n * 3 + channel % 2))).sum::<f64>().min(255.0) as u8
            };
            Rgba([value(0), value(1), value(2), 255])
        })
    }

    fn recompressed(picture: &RgbaImage) -> RgbaImage {
        let mut jpeg = Cursor::new(Vec::new());
        DynamicImage::from(picture.clone()).into_rgb8().write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        crate::image::decode(jpeg.get_ref(), "jpeg").unwrap()
    }

    #[test]
    fn copies_are_near_and_others_far() {
        let prints: Vec<Fingerprint> = (0..40).map(|seed| Fingerprint::new(&spots(seed, 200, 150))).collect();
        for (seed, print) in prints.iter().enumerate() {
            let picture = spots(seed as u32, 200, 150);
            let smaller = imageops::resize(&picture, 120, 90, FilterType::CatmullRom);
            for copy in [recompressed(&picture), smaller] {
                assert!(print.is_near(&Fingerprint::new(&copy), 6), "{seed}");
            }
            let mirrored = Fingerprint::new(&imageops::flip_horizontal(&picture));
            assert!(print.distance(&mirrored) > 10, "{seed}: {}", print.distance(&mirrored));
            let nearest = prints[..seed].iter().map(|other| print.distance(other)).min().unwrap_or(64);
            assert!(nearest > 10, "{seed}: {nearest}");
        }
    }

    #[test]
    fn another_colour_is_another_picture() {
        let (picture, mut red) = (spots(1, 100, 100), spots(1, 100, 100));
        red.pixels_mut().for_each(|pixel| pixel.0[0] = 255);
        assert!(!Fingerprint::new(&picture).is_near(&Fingerprint::new(&red), 64));
    }

    #[test]
    fn exclusion_has_a_radius() {
        let print = Fingerprint::new(&spots(3, 100, 100));
        let off_by = |bits: u32| Fingerprint { structure: print.structure ^ ((1 << bits) - 1), ..print };
        let exclusion = Exclusion::new([print, print], 4);
        assert_eq!(exclusion.len(), 1);
        assert!(exclusion.contains(&off_by(4)) && !exclusion.contains(&off_by(5)));
    }
}
