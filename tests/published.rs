//! The tiny published models of the fixtures, as the files that people have.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, TensorData};
use flamingo::{ModelSource, Pretrained};
use flamingo_testkit::Fixture;
use flamingo_weights::{Checkpoint, TensorPlan, save_safetensors};

/// Tokens of the tiny OpenFlamingos' tokenizer; `<|endofchunk|>`, `<image>` and `<PAD>` follow.
pub const BASE_VOCAB: usize = 17;

/// Tokens of the tiny IDEFICS' language model; `<fake_token_around_image>` and `<image>` follow.
pub const IDEFICS_VOCAB: usize = 20;

/// A fixture's checkpoints, as files of a folder.
pub struct Published {
    /// Inputs and expected outputs.
    pub fixture: Fixture,
    /// The same, and the weights, with their metadata.
    pub checkpoint: Checkpoint,
    /// Where the files go.
    pub folder: tempfile::TempDir,
}

impl Published {
    pub fn new(name: &str) -> Self {
        let path = format!("{}/fixtures/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        Self {
            fixture: Fixture::load(name),
            checkpoint: Checkpoint::open(path).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The tensors below `prefix` as a safetensors file in a folder of their own.
    fn folder_of(&self, prefix: &str) -> PathBuf {
        let folder = self.folder.path().join(prefix.replace('.', "-"));
        std::fs::create_dir_all(&folder).unwrap();
        let part =
            self.checkpoint.clone().rename(|name| name.strip_prefix(prefix).map(str::to_owned)).unwrap();
        part.save_safetensors(folder.join("model.safetensors"), None).unwrap();
        folder
    }

    fn description(&self, key: &str) -> &str {
        self.checkpoint.metadata()[key].as_str().unwrap()
    }

    /// IDEFICS as people have it: one folder.
    pub fn idefics_folder(&self) -> PathBuf {
        let folder = self.folder_of("weights.");
        std::fs::write(folder.join("config.json"), self.description("config.json")).unwrap();
        folder
    }

    /// OpenFlamingo's checkpoint file, language-model folder and encoder folder.
    pub fn open_flamingo_parts(&self) -> [PathBuf; 3] {
        let [checkpoint, lm, vision] =
            ["flamingo", "lm", "vision"].map(|part| self.folder_of(&format!("weights.{part}.")));
        std::fs::write(lm.join("config.json"), self.description("config.json")).unwrap();
        let clip = r#"{
            "model_type": "clip_vision_model", "hidden_size": 8, "image_size": 8, "patch_size": 4,
            "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "hidden_act": "quick_gelu"
        }"#;
        std::fs::write(vision.join("config.json"), clip).unwrap();
        [checkpoint.join("model.safetensors"), lm, vision]
    }

    /// OpenFlamingo as `--model`, `--lm` and `--vision` name it; and its language-model folder.
    pub fn open_flamingo_source(&self) -> (ModelSource, PathBuf) {
        let [checkpoint, lm, vision] = self.open_flamingo_parts();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let source =
            ModelSource { model: text(&checkpoint), lm: Some(text(&lm)), vision: Some(text(&vision)) };
        (source, lm)
    }

    /// The whole model, from its files.
    pub fn open(&self, device: &Device) -> Pretrained {
        let source = match self.checkpoint.metadata().contains_key("tokenizer.json") {
            true => self.open_flamingo_source().0,
            false => self.idefics_folder().to_str().unwrap().into(),
        };
        Pretrained::open(source, device).unwrap()
    }

    /// A file of [`pixels`].
    pub fn picture(&self, index: usize, size: usize) -> PathBuf {
        picture(self.folder.path(), index, size)
    }
}

/// Pixels `[3, size, size]`, different for each `index`; as `tests/parity/generation.py` has them.
pub fn pixels(index: usize, size: usize) -> Vec<f32> {
    let value = |i: usize| ((i * i + 3) * (2 * index + 5) % 257) as f32 / 128.0 - 1.0;
    (0..3 * size * size).map(value).collect()
}

/// A file of [`pixels`] in `folder`.
pub fn picture(folder: &Path, index: usize, size: usize) -> PathBuf {
    let path = folder.join(format!("picture-{index}.safetensors"));
    write_pixels(&path, &pixels(index, size), size);
    path
}

/// Writes `values` `[3, size, size]` as pixels that need no preparation.
pub fn write_pixels(path: &Path, values: &[f32], size: usize) {
    let shape = vec![3, size, size];
    let plans = [TensorPlan { name: "pixels".to_owned(), shape: shape.clone(), dtype: DType::F32 }];
    let pixels = |_: &str| Ok(TensorData::new(values.to_vec(), shape.clone()));
    save_safetensors(path, &plans, &Default::default(), pixels).unwrap();
}
