//! Where in a model numbers first stop being finite, and a batch as tensors to look at.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use flamingo_core::{HostBatch, HostFeatures};
use flamingo_lm::{Decoder, LayerHook};

use crate::model::Flamingo;

/// All of a batch, by the names and in the shapes of its documentation.
pub(super) fn tensors(batch: &HostBatch) -> BTreeMap<String, TensorData> {
    let text = [batch.batch, batch.len];
    let ints = |values: &[u32]| TensorData::new(values.iter().map(|value| i64::from(*value)).collect(), text);
    let mut tensors = BTreeMap::from([
        ("ids".to_owned(), ints(&batch.ids)),
        ("media_index".to_owned(), ints(&batch.media_index)),
        ("loss_weights".to_owned(), TensorData::new(batch.loss_weights.clone(), text)),
    ]);
    if let Some(features) = &batch.features {
        let HostFeatures { positions, width, values } = features;
        let shape = [batch.batch, batch.media, batch.frames, *positions, *width];
        tensors.insert("features".to_owned(), TensorData::new(values.clone(), shape));
    } else if batch.media > 0 {
        let shape = [batch.batch, batch.media, batch.frames, 3, batch.size, batch.size];
        tensors.insert("pixels".to_owned(), TensorData::new(batch.pixels.clone(), shape));
    }
    tensors
}

/// The first part of a whole model whose output is not finite.
pub(super) fn of_flamingo(model: &Flamingo, batch: &HostBatch) -> Option<String> {
    if !batch.loss_weights.iter().chain(&batch.pixels).all(|value| value.is_finite()) {
        return Some("the data pipeline (pixels or weights)".to_owned());
    }
    if !batch.features.iter().flat_map(|features| &features.values).all(|value| value.is_finite()) {
        return Some("the features that were kept of the vision encoder".to_owned());
    }
    let device = model.lm.embedding.device();
    let batch = batch.to_device(&device);
    let media = match model.features_of(&batch) {
        Some(features) => {
            if !is_finite(&features) {
                return Some("vision".to_owned());
            }
            let visual = model.resample(features);
            if !is_finite(&visual) {
                return Some("resampler".to_owned());
            }
            Some(model.media(visual))
        }
        None => None,
    };
    let seen = match &media {
        Some(media) => model.see(media, &batch.media),
        None => model.see_nothing(),
    };
    let name = |layer: usize| match model.xattn_layers().binary_search(&layer) {
        Ok(index) => format!("xattn.{index}, before lm.blocks.{layer}"),
        Err(_) => format!("what enters lm.blocks.{layer}"),
    };
    let watch = Watch { hook: &seen, name, found: RefCell::default() };
    watch.pass(&model.lm, batch.ids)
}

/// The first part of a language model whose output is not finite.
pub(super) fn of_decoder(model: &Decoder, batch: &HostBatch) -> Option<String> {
    let name = |layer: usize| format!("what enters lm.blocks.{layer}");
    let ids = batch.to_device(&model.embedding.device()).ids;
    Watch { hook: &flamingo_lm::NoHook, name, found: RefCell::default() }.pass(model, ids)
}

/// Looks at everything that passes between layers.
struct Watch<'a, H, N> {
    hook: &'a H,
    /// What stands before a layer.
    name: N,
    found: RefCell<Option<String>>,
}

impl<H: LayerHook, N: Fn(usize) -> String> Watch<'_, H, N> {
    fn pass(self, lm: &Decoder, ids: Tensor<2, burn::tensor::Int>) -> Option<String> {
        let hidden = lm.hidden(ids, &self);
        self.look(&hidden, || format!("lm.blocks.{}, or lm.norm", lm.blocks.len().saturating_sub(1)));
        self.found.into_inner()
    }

    fn look(&self, hidden: &Tensor<3>, name: impl FnOnce() -> String) {
        let mut found = self.found.borrow_mut();
        if found.is_none() && !is_finite(hidden) {
            *found = Some(name());
        }
    }
}

impl<H: LayerHook, N: Fn(usize) -> String> LayerHook for Watch<'_, H, N> {
    fn before_layer(&self, layer: usize, hidden: Tensor<3>) -> Tensor<3> {
        self.look(&hidden, || match layer.checked_sub(1) {
            Some(before) => format!("lm.blocks.{before}"),
            None => "lm.embedding or lm.new_embedding".to_owned(),
        });
        let hidden = self.hook.before_layer(layer, hidden);
        self.look(&hidden, || (self.name)(layer));
        hidden
    }
}

fn is_finite<const N: usize>(tensor: &Tensor<N>) -> bool {
    tensor.clone().inner().is_finite().all().into_data().iter::<bool>().all(|finite| finite)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use flamingo_resampler::Resampler;

    use super::*;
    use crate::FlamingoConfig;

    fn batch() -> HostBatch {
        let size = FlamingoConfig::nano().preprocess.size;
        HostBatch {
            batch: 1,
            len: 3,
            media: 1,
            frames: 1,
            size,
            ids: vec![1, 2, 3],
            media_index: vec![1; 3],
            loss_weights: vec![1.0; 3],
            pixels: vec![0.5; 3 * size * size],
            features: None,
        }
    }

    #[test]
    fn the_part_that_breaks_first_is_named() {
        let sound = FlamingoConfig::nano().init(&Device::flex()).unwrap();
        assert_eq!(of_flamingo(&sound, &batch()), None);
        assert_eq!(of_decoder(&sound.lm, &batch()), None);
        let found = |spoil: &dyn Fn(&mut Flamingo)| {
            let mut model = sound.clone();
            spoil(&mut model);
            of_flamingo(&model, &batch()).unwrap()
        };
        let nan = |param: burn::module::Param<Tensor<2>>| param.map(|value| value.mul_scalar(f32::NAN));
        let gate = |param: Option<burn::module::Param<Tensor<1>>>| {
            param.map(|param| param.map(|value| value + f32::NAN))
        };
        let blind = |m: &mut Flamingo| match &mut m.resampler {
            Resampler::Perceiver(resampler) => resampler.latents = nan(resampler.latents.clone()),
            other => panic!("no Perceiver: {other:?}"),
        };
        assert_eq!(found(&blind), "resampler");
        let last = sound.xattn.len() - 1;
        let broken = found(&|m| m.xattn[last].attention_gate = gate(m.xattn[last].attention_gate.clone()));
        assert!(broken.starts_with(&format!("xattn.{last}, before lm.blocks.")), "{broken}");
        let broken = found(&|m| m.lm.embedding = nan(m.lm.embedding.clone()));
        assert_eq!(broken, "lm.embedding or lm.new_embedding");

        let pixels = vec![f32::NAN; batch().pixels.len()];
        let torn = of_flamingo(&sound, &HostBatch { pixels, ..batch() }).unwrap();
        assert!(torn.contains("data pipeline"), "{torn}");
        let vision = FlamingoConfig::nano().vision;
        let (positions, width) = (vision.n_positions(batch().size), vision.d_features());
        let kept = |value: f32| {
            let values = vec![half::f16::from_f32(value); positions * width];
            let features = Some(HostFeatures { positions, width, values });
            HostBatch { pixels: Vec::new(), features, ..batch() }
        };
        assert_eq!(of_flamingo(&sound, &kept(0.5)), None);
        assert!(of_flamingo(&sound, &kept(f32::INFINITY)).unwrap().contains("features that were kept"));
        assert_eq!(tensors(&kept(0.5))["features"].shape().as_slice(), [1, 1, 1, positions, width]);
        assert_eq!(
            tensors(&batch()).keys().collect::<Vec<_>>(),
            ["ids", "loss_weights", "media_index", "pixels"]
        );
    }
}
