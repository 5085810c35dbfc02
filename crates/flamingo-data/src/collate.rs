//! Sequences of different lengths to one rectangular batch.

use flamingo_core::{HostBatch, HostFeatures};
use half::f16;
use rayon::prelude::*;

use crate::sequence::Sequence;

/// Pads `sequences` on the right with `pad`, to the longest of them, and renders their images on all cores.
///
/// `fill(image, slot, pixels)` writes the image with the given data-set index to `pixels` `[F, 3, I, I]`. `slot`
/// counts the batch's images from 0, row by row: derive the image's random generator from it, so that the batch does
/// not depend on threads. Rows with fewer images than the fullest one end with zeros.
///
/// # Panics
///
/// If a sequence's buffers differ in length, or if there are images but `frames` or `size` is 0.
pub fn collate(
    sequences: &[Sequence],
    frames: usize,
    size: usize,
    pad: u32,
    fill: impl Fn(usize, u64, &mut [f32]) + Sync,
) -> HostBatch {
    let mut batch = texts(sequences, frames, size, pad);
    if batch.media > 0 {
        assert!(frames > 0 && size > 0, "images need at least one frame and one pixel");
        let image_len = frames * 3 * size * size;
        let slots = slots(sequences, batch.media);
        batch.pixels = vec![0.0; slots.len() * image_len];
        batch.pixels.par_chunks_exact_mut(image_len).zip(slots).for_each(|(pixels, slot)| {
            if let Some((image, slot)) = slot {
                fill(image, slot, pixels);
            }
        });
    }
    batch
}

/// As [`collate`], with features in the place of pixels.
///
/// `read(image, values)` appends the features `[f, P, E]` of the image with the given data-set index to `values` and
/// gives the number of its frames, f. Where that is less than `frames`, the last frame stays to the end.
///
/// # Errors
///
/// What `read` gives for one of the images.
///
/// # Panics
///
/// If a sequence's buffers differ in length, if there are images but `frames` is 0, or if `read` does not append what
/// it says.
pub fn collate_features<E: Send>(
    sequences: &[Sequence],
    frames: usize,
    size: usize,
    [positions, width]: [usize; 2],
    pad: u32,
    read: impl Fn(usize, &mut Vec<f16>) -> Result<usize, E> + Sync,
) -> Result<HostBatch, E> {
    let mut batch = texts(sequences, frames, size, pad);
    if batch.media > 0 {
        assert!(frames > 0, "images need at least one frame");
        let frame_len = positions * width;
        let slots = slots(sequences, batch.media);
        let mut values = vec![f16::ZERO; slots.len() * frames * frame_len];
        let places = values.par_chunks_exact_mut(frames * frame_len).zip(slots);
        places.filter_map(|(out, slot)| Some((out, slot?.0))).try_for_each_init(
            Vec::new,
            |own, (out, image)| {
                own.clear();
                let count = read(image, own)?;
                assert_eq!(own.len(), count * frame_len, "features must be [{count}, {positions}, {width}]");
                for (frame, out) in out.chunks_exact_mut(frame_len).enumerate() {
                    let from = frame.min(count - 1) * frame_len;
                    out.copy_from_slice(&own[from..from + frame_len]);
                }
                Ok(())
            },
        )?;
        batch.features = Some(HostFeatures { positions, width, values });
    }
    Ok(batch)
}

/// The texts of a batch, without its images.
fn texts(sequences: &[Sequence], frames: usize, size: usize, pad: u32) -> HostBatch {
    let len = sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
    let media = sequences.iter().map(|sequence| sequence.images.len()).max().unwrap_or(0);
    let mut batch = HostBatch { batch: sequences.len(), len, media, frames, size, ..HostBatch::default() };
    for sequence in sequences {
        let own = sequence.ids.len();
        assert!(
            sequence.media_index.len() == own && sequence.loss_weights.len() == own,
            "ids, media_index and loss_weights must have one length"
        );
        let end = batch.ids.len() + len;
        batch.ids.extend(&sequence.ids);
        batch.ids.resize(end, pad);
        batch.media_index.extend(&sequence.media_index);
        batch.media_index.resize(end, 0);
        batch.loss_weights.extend(&sequence.loss_weights);
        batch.loss_weights.resize(end, 0.0);
    }
    batch
}

/// For each place `[B, M]`: its image and that image's number in the batch, or `None` for padding.
fn slots(sequences: &[Sequence], media: usize) -> Vec<Option<(usize, u64)>> {
    let mut places = Vec::with_capacity(sequences.len() * media);
    let mut count = 0;
    for sequence in sequences {
        for place in 0..media {
            places.push(sequence.images.get(place).map(|image| (*image, count)));
            count += u64::from(place < sequence.images.len());
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ids: &[u32], images: &[usize]) -> Sequence {
        Sequence {
            ids: ids.to_vec(),
            media_index: vec![1; ids.len()],
            loss_weights: vec![1.0; ids.len()],
            images: images.to_vec(),
        }
    }

    #[test]
    fn rows_are_padded_on_the_right_and_media_with_zeros() {
        let rows = [row(&[1, 2], &[7]), row(&[3, 4, 5], &[8, 9]), row(&[6], &[])];
        let fill = |image: usize, slot: u64, pixels: &mut [f32]| {
            assert_eq!(pixels.len(), 2 * 3 * 4);
            pixels.fill(image as f32 + slot as f32 / 10.0);
        };
        let batch = collate(&rows, 2, 2, 0, fill);
        assert_eq!((batch.batch, batch.len, batch.media, batch.frames, batch.size), (3, 3, 2, 2, 2));
        assert_eq!(batch.ids, [1, 2, 0, 3, 4, 5, 6, 0, 0]);
        assert_eq!(batch.media_index, [1, 1, 0, 1, 1, 1, 1, 0, 0]);
        assert_eq!(batch.loss_weights, [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        let firsts: Vec<f32> = batch.pixels.iter().step_by(24).copied().collect();
        assert_eq!(firsts, [7.0, 0.0, 8.1, 9.2, 0.0, 0.0]);
        assert_eq!(batch.pixels.len(), 3 * 2 * 24);
    }

    #[test]
    fn text_alone_has_no_media() {
        let batch =
            collate(&[row(&[1], &[]), row(&[2, 3], &[])], 1, 48, 9, |_, _, _| panic!("no image to render"));
        assert_eq!((batch.media, batch.pixels.len()), (0, 0));
        assert_eq!(batch.ids, [1, 9, 2, 3]);
    }

    #[test]
    fn features_are_padded_like_pixels_and_their_last_frame_stays() {
        let rows = [row(&[1, 2], &[7]), row(&[3], &[8, 9])];
        let read = |image: usize, values: &mut Vec<f16>| {
            let frames = if image == 8 { 1 } else { 2 };
            values.extend((0..frames).flat_map(|frame| [f16::from_f32((10 * image + frame) as f32); 2]));
            Ok::<_, ()>(frames)
        };
        let batch = collate_features(&rows, 3, 2, [2, 1], 0, read).unwrap();
        assert_eq!((batch.batch, batch.media, batch.frames, batch.pixels.len()), (2, 2, 3, 0));
        let features = batch.features.unwrap();
        assert_eq!((features.positions, features.width), (2, 1));
        let firsts: Vec<f32> = features.values.iter().step_by(2).map(|value| value.to_f32()).collect();
        assert_eq!(firsts, [70.0, 71.0, 71.0, 0.0, 0.0, 0.0, 80.0, 80.0, 80.0, 90.0, 91.0, 91.0]);

        let fail = |image: usize, _: &mut Vec<f16>| if image == 9 { Err("nine") } else { Ok(0) };
        let nine = [row(&[1], &[9])];
        assert_eq!(collate_features(&nine, 1, 2, [2, 1], 0, fail), Err("nine"));
        let text = collate_features(&[row(&[1], &[])], 1, 2, [2, 1], 0, fail).unwrap();
        assert_eq!((text.media, text.features), (0, None));
    }

    #[test]
    fn nothing_is_an_empty_batch() {
        assert_eq!(collate(&[], 1, 8, 0, |_, _, _| ()).batch, 0);
    }
}
