//! Captions: what the model says of one image after `<BOS><image>`, token by token, the likeliest first.

use std::path::Path;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use flamingo_core::MediaLayout;
use flamingo_data::TextTokenizer;
use serde::Serialize;

use crate::error::FlamingoError;
use crate::model::Flamingo;
use crate::pixels::to_pixels;
use crate::pretrained::folder::ModelFolder;

/// Longest caption of [`caption_files`], in tokens.
const MAX_TOKENS: usize = 32;

/// Greedy captions of image files, in their order.
///
/// # Errors
///
/// If a file cannot be read or is no image; nothing is captioned then.
pub fn caption_files(
    pretrained: &ModelFolder,
    files: &[impl AsRef<Path>],
    device: &Device,
) -> Result<Vec<Caption>, FlamingoError> {
    let ModelFolder { model, config, tokenizer } = pretrained;
    let pictures = files.iter().map(flamingo_data::image::open).collect::<Result<Vec<_>, _>>()?;
    let of_chunk = |chunk: &[image::RgbaImage]| {
        let visual = model.visual_tokens(to_pixels(chunk.iter(), &config.preprocess, device));
        greedy_captions(model, tokenizer, visual, MAX_TOKENS)
    };
    const BATCH: usize = 32;
    Ok(pictures.chunks(BATCH).flat_map(of_chunk).collect())
}

/// A generated text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Caption {
    /// The text, without special tokens and surrounding spaces.
    pub text: String,
    /// Log-probability of the text and its end, in nats.
    pub logprob: f64,
}

/// Greedy captions of images, one each.
///
/// `visual` `[N, 1, R, E]` from [`Flamingo::visual_tokens`]; generation ends at `<EOC>`, or after `max_tokens`.
pub fn greedy_captions(
    model: &Flamingo,
    tokenizer: &TextTokenizer,
    visual: Tensor<4>,
    max_tokens: usize,
) -> Vec<Caption> {
    let device = visual.device();
    let images = visual.dims()[0];
    let media = model.media(visual);
    let special = tokenizer.special();
    let mut rows: Vec<Row> = (0..images).map(|_| Row::new(&[special.bos, special.image])).collect();
    for _ in 0..max_tokens {
        if rows.iter().all(|row| row.done) {
            break;
        }
        let len = rows[0].ids.len();
        // <BOS> sees nothing; everything from <image> on sees the only image.
        let phi: Vec<u32> =
            (0..images).flat_map(|_| (0..len).map(|position| u32::from(position > 0))).collect();
        let layout = MediaLayout::new(&phi, images, len, &device);
        let hidden = model.hidden_with(ids(&rows, &device), &model.see(&media, &layout));
        let last = hidden.slice([0..images, len - 1..len]).squeeze_dim::<2>(1);
        let (best, token) = log_softmax(model.lm.logits(last), 1).max_dim_with_indices(1);
        let best: Vec<f32> = best.into_data().iter().collect();
        let token: Vec<u32> = token.into_data().iter().collect();
        for (row, (token, logprob)) in rows.iter_mut().zip(token.into_iter().zip(best)) {
            row.push(token, logprob, [special.eoc, special.eos]);
        }
    }
    rows.into_iter().map(|row| row.finish(tokenizer)).collect()
}

/// One text in the making.
struct Row {
    ids: Vec<u32>,
    prompt: usize,
    logprob: f64,
    done: bool,
    end: usize,
}

impl Row {
    fn new(prompt: &[u32]) -> Self {
        Self { ids: prompt.to_vec(), prompt: prompt.len(), logprob: 0.0, done: false, end: prompt.len() }
    }

    /// Finished rows go on with whatever comes, unread, until all rows are finished.
    fn push(&mut self, token: u32, logprob: f32, stop: [u32; 2]) {
        self.ids.push(token);
        if self.done {
            return;
        }
        self.logprob += f64::from(logprob);
        if stop.contains(&token) {
            self.done = true;
        } else {
            self.end = self.ids.len();
        }
    }

    fn finish(self, tokenizer: &TextTokenizer) -> Caption {
        let text = tokenizer.decode(&self.ids[self.prompt..self.end]);
        Caption { text: text.trim().to_owned(), logprob: self.logprob }
    }
}

fn ids(rows: &[Row], device: &Device) -> Tensor<2, Int> {
    let len = rows[0].ids.len();
    let values: Vec<i32> = rows.iter().flat_map(|row| row.ids.iter().map(|id| *id as i32)).collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), len]), device)
}
