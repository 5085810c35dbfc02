//! What captioning tasks have in common: the wording, the clean-up, and CIDEr.

use super::outputs::{named, texts, unscored};
use super::{Ask, Item, Output, PromptStyle, Target, Wording};
use crate::EvalError;
use crate::metrics::cider::Cider;
use crate::metrics::{Measure, ptb};

/// The metric's name.
pub(super) const METRIC: &str = "cider";

/// Paper: appendix B.1.5; OpenFlamingo: `get_caption_prompt`, and the new line that its `evaluate.py` adds.
pub(super) fn wording(style: PromptStyle) -> Wording {
    Wording::of(match style {
        PromptStyle::Paper => "{image}Output: {answer}{eoc}",
        PromptStyle::OpenFlamingo => "{image}Output:{answer}{eoc}\n",
    })
}

/// The same for names of classes, behind which OpenFlamingo adds no new line (`get_imagenet_prompt`).
pub(super) fn without_new_line(style: PromptStyle) -> Wording {
    Wording::of(wording(style).text.trim_end())
}

/// As OpenFlamingo's `evaluate_captioning`; of the paper's numbers only the three beams are known.
pub(super) fn ask(_style: PromptStyle) -> Ask {
    Ask::Open { max_tokens: 20, beams: 3, length_penalty: 0.0 }
}

/// OpenFlamingo: what is before a next "Output", without quotation marks. The paper's models end with their token.
pub(super) fn clean(style: PromptStyle, text: &str) -> String {
    match style {
        PromptStyle::Paper => text.trim().to_owned(),
        PromptStyle::OpenFlamingo => {
            text.split_once("Output").map_or(text, |(caption, _)| caption).replace('"', "")
        }
    }
}

/// CIDEr-D over the items that were asked: document frequencies are those of their references, as in
/// OpenFlamingo's `compute_cider`, which evaluates the images that have a result.
pub(super) fn measure(asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
    let captions = ptb::tokenize_all(texts(asked)?);
    let references = asked.iter().map(|(item, _)| match &item.target {
        Target::Texts(texts) => Ok(texts.iter().map(String::as_str).collect()),
        target => Err(unscored(item, target)),
    });
    let references = ptb::references(&references.collect::<Result<Vec<Vec<&str>>, _>>()?);
    Ok(Box::new(named(asked, Cider::new(&captions, &references))?))
}
