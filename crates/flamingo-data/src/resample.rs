//! Resizing 8-bit images exactly as PIL does: bit for bit, because encoders were trained on PIL's pixels.
//!
//! The kernel is widened to the step between pixels, weights are whole multiples of 2^-22, rows are resized before
//! columns and what is in between is rounded to 8 bits. A transparent image is resized premultiplied, so that colours
//! nobody sees do not bleed into those that are seen.

use std::ops::Range;

use flamingo_core::Filter;
use image::RgbaImage;

use crate::image::MAX_PIXELS;

/// An 8-bit image with 3 channels (opaque) or 4 (premultiplied by its transparency).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Raster {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// `[height, width, channels]`.
    pub(crate) bytes: Vec<u8>,
}

/// A part of a side in pixels, and how many pixels to make of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: f64,
    pub(crate) length: f64,
    pub(crate) pixels: usize,
}

impl Span {
    /// All of a side.
    pub(crate) fn whole(length: usize, pixels: usize) -> Self {
        Self { start: 0.0, length: length as f64, pixels }
    }

    /// The same part where each pixel stands for `share` of those that it was said in.
    pub(crate) fn shrunk(self, share: u32) -> Self {
        let share = f64::from(share);
        Self { start: self.start / share, length: self.length / share, ..self }
    }
}

impl Raster {
    /// Colours multiplied by their own transparency.
    pub(crate) fn premultiplied(image: &RgbaImage) -> Self {
        let pixels = image.pixels().flat_map(|pixel| {
            let [red, green, blue, alpha] = pixel.0;
            let seen = |value: u8| ((u32::from(value) * u32::from(alpha) + 127) / 255) as u8;
            [seen(red), seen(green), seen(blue), alpha]
        });
        Self { width: image.width() as usize, height: image.height() as usize, bytes: pixels.collect() }
    }

    /// Resizes a part of the image; the kernel reads beyond the part, where the image goes on.
    pub(crate) fn resize(&self, [across, down]: [Span; 2], filter: Filter) -> Raster {
        let columns = Window::all(self.width, across, filter);
        let rows = Window::all(self.height, down, filter);
        let used = Window::range(&rows);
        // Rows first, unless a narrow strip would become too large in between.
        if columns.len() * used.len() <= MAX_PIXELS as usize {
            self.along_rows(used.clone(), &columns).along_columns(&rows, used.start)
        } else {
            self.along_columns(&rows, 0).along_rows(0..rows.len(), &columns)
        }
    }

    /// The colours of a premultiplied image without their transparency.
    pub(crate) fn without_alpha(self) -> Raster {
        let bytes = self.bytes.chunks_exact(4).flat_map(|pixel| {
            let alpha = pixel[3];
            [0, 1, 2].map(|channel| match alpha {
                0 | 255 => pixel[channel],
                _ => (255 * u32::from(pixel[channel]) / u32::from(alpha)).min(255) as u8,
            })
        });
        Raster { bytes: bytes.collect(), ..self }
    }

    fn channels(&self) -> usize {
        self.bytes.len() / (self.width * self.height)
    }

    /// Resizes every one of `rows`.
    fn along_rows(&self, rows: Range<usize>, columns: &[Window]) -> Raster {
        let stride = self.width * self.channels();
        let lines = &self.bytes[rows.start * stride..rows.end * stride];
        let bytes = match self.channels() {
            3 => along::<3>(lines, stride, columns),
            _ => along::<4>(lines, stride, columns),
        };
        Raster { width: columns.len(), height: rows.len(), bytes }
    }

    /// Resizes every column; the first row of this image is row `offset` of the one that the windows were made for.
    fn along_columns(&self, rows: &[Window], offset: usize) -> Raster {
        let stride = self.width * self.channels();
        let mut bytes = Vec::with_capacity(rows.len() * stride);
        let mut sums = vec![0i32; stride];
        for window in rows {
            sums.fill(HALF);
            let first = window.first - offset;
            let lines = self.bytes[first * stride..].chunks_exact(stride);
            for (weight, line) in window.weights.iter().zip(lines) {
                for (sum, byte) in sums.iter_mut().zip(line) {
                    *sum += weight * i32::from(*byte);
                }
            }
            bytes.extend(sums.iter().map(|sum| to_byte(*sum)));
        }
        Raster { width: self.width, height: rows.len(), bytes }
    }
}

/// Rows that are resized side by side: vector registers hold the same column of all of them.
const LANES: usize = 16;

/// Rows of `stride` bytes, resized.
fn along<const CHANNELS: usize>(lines: &[u8], stride: usize, columns: &[Window]) -> Vec<u8> {
    let used = Window::range(columns);
    let to_stride = columns.len() * CHANNELS;
    let mut resized = vec![0; lines.len() / stride * to_stride];
    let mut upright = vec![[0; LANES]; used.len() * CHANNELS];
    for (lines, resized) in lines.chunks(LANES * stride).zip(resized.chunks_mut(LANES * to_stride)) {
        for (lane, line) in lines.chunks_exact(stride).enumerate() {
            let line = &line[used.start * CHANNELS..used.end * CHANNELS];
            for (column, byte) in upright.iter_mut().zip(line) {
                column[lane] = *byte;
            }
        }
        let (pixels, _) = upright.as_chunks::<CHANNELS>();
        for (column, window) in columns.iter().enumerate() {
            let mut sums = [[HALF; LANES]; CHANNELS];
            for (weight, pixel) in window.weights.iter().zip(&pixels[window.first - used.start..]) {
                for (sums, bytes) in sums.iter_mut().zip(pixel) {
                    for (sum, byte) in sums.iter_mut().zip(bytes) {
                        *sum += weight * i32::from(*byte);
                    }
                }
            }
            let bytes = sums.map(|sums| sums.map(to_byte));
            for (lane, line) in resized.chunks_exact_mut(to_stride).enumerate() {
                for (channel, bytes) in bytes.iter().enumerate() {
                    line[column * CHANNELS + channel] = bytes[lane];
                }
            }
        }
    }
    resized
}

/// Bits behind the point of a weight: 8 bits of colour and two to spare leave 22 of 32.
const PRECISION: u32 = 22;
const HALF: i32 = 1 << (PRECISION - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The pixels that make one pixel of the result, and their weights.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

impl Window {
    /// The windows of every pixel of `span`, on a side of `length` pixels.
    fn all(length: usize, span: Span, filter: Filter) -> Vec<Window> {
        let (kernel, support): (fn(f64) -> f64, f64) = match filter {
            Filter::Bicubic => (catmull_rom, 2.0),
            Filter::Bilinear => (triangle, 1.0),
        };
        let step = span.length / span.pixels as f64;
        let stretch = step.max(1.0);
        let reach = support * stretch;
        let window = |pixel: usize| {
            let centre = span.start + (pixel as f64 + 0.5) * step;
            let first = ((centre - reach + 0.5).max(0.0) as usize).min(length - 1);
            let end = ((centre + reach + 0.5) as usize).clamp(first + 1, length);
            let exact: Vec<f64> = (first..end).map(|x| kernel((x as f64 - centre + 0.5) / stretch)).collect();
            let sum: f64 = exact.iter().sum();
            let whole = |weight: &f64| (weight / sum * f64::from(1 << PRECISION)).round() as i32;
            Window { first, weights: exact.iter().map(whole).collect() }
        };
        (0..span.pixels).map(window).collect()
    }

    /// All pixels that some window reads.
    fn range(windows: &[Window]) -> Range<usize> {
        let end = windows.last().map_or(0, |window| window.first + window.weights.len());
        windows.first().map_or(0, |window| window.first)..end
    }
}

/// Cubic convolution with a = -0.5.
fn catmull_rom(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    fn whole(raster: &Raster, width: usize, height: usize) -> [Span; 2] {
        [Span::whole(raster.width, width), Span::whole(raster.height, height)]
    }

    /// Nearest-neighbour and box filters at fractional steps do not.
    #[test]
    fn both_kernels_keep_a_ramp() {
        let bytes: Vec<u8> = (0..60u8).flat_map(|x| [4 * x; 3]).collect();
        let ramp = Raster { width: 60, height: 1, bytes };
        for filter in [Filter::Bicubic, Filter::Bilinear] {
            let resized = ramp.resize(whole(&ramp, 40, 1), filter);
            for (x, pixel) in resized.bytes.chunks(3).enumerate().skip(3).take(34) {
                let expected = 4.0 * ((x as f32 + 0.5) * 1.5 - 0.5);
                assert!((f32::from(pixel[0]) - expected).abs() < 1.0, "{x}: {} {expected}", pixel[0]);
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let bytes: Vec<u8> = (0..7 * 5 * 3).map(|i| (i * 37 % 256) as u8).collect();
        let raster = Raster { width: 7, height: 5, bytes };
        assert_eq!(raster.resize(whole(&raster, 7, 5), Filter::Bicubic), raster);
    }

    #[test]
    fn the_order_of_passes_matters_only_where_the_kernel_overshoots() {
        let bytes: Vec<u8> = (0..64 * 3).map(|i| 100 + (i * 7 % 50) as u8).collect();
        let raster = Raster { width: 8, height: 8, bytes };
        let [across, down] = whole(&raster, 5, 5);
        let columns = Window::all(8, across, Filter::Bilinear);
        let rows = Window::all(8, down, Filter::Bilinear);
        let other = raster.along_columns(&rows, 0).along_rows(0..5, &columns);
        let usual = raster.resize([across, down], Filter::Bilinear);
        assert!(usual.bytes.iter().zip(&other.bytes).all(|(a, b)| a.abs_diff(*b) <= 1));
    }

    #[test]
    fn unseen_colours_do_not_bleed() {
        let image =
            RgbaImage::from_fn(
                8,
                8,
                |x, _| if x < 4 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 255, 0, 0]) },
            );
        let raster = Raster::premultiplied(&image);
        let resized = raster.resize(whole(&raster, 3, 3), Filter::Bilinear).without_alpha();
        assert_eq!(resized.bytes[..3], [255, 0, 0]);
        assert_eq!(resized.bytes[3..6], [255, 0, 0], "half seen");
        assert_eq!(resized.bytes[6..9], [0, 0, 0], "not seen");
    }
}
