//! `--model` and its companions, the same for every verb that asks a model.

use flamingo::core::device::Device;
use flamingo::hub::locate;
use flamingo::{FlamingoError, ModelSource, Pretrained};
use flamingo_eval::files::FileRecord;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// A run or model folder, an IDEFICS folder, an OpenFlamingo checkpoint file (with --lm and --vision), or a
    /// language model alone (folder or GGUF file, for text)
    #[arg(long, value_name = "MODEL", default_value = "runs/first-light")]
    model: String,
    /// The language model of an OpenFlamingo checkpoint: its folder
    #[arg(long, value_name = "DIR")]
    lm: Option<String>,
    /// The vision encoder of an OpenFlamingo checkpoint: a file or folder
    #[arg(long, value_name = "PATH")]
    vision: Option<String>,
}

impl ModelArgs {
    /// The model as it was named.
    pub fn name(&self) -> &str {
        &self.model
    }

    pub fn open(&self, device: &Device) -> Result<Pretrained, FlamingoError> {
        let Self { model, lm, vision } = self;
        let source = ModelSource { model: model.clone(), lm: lm.clone(), vision: vision.clone() };
        Pretrained::open(source, device)
    }

    /// Which model it is, for files of results: its names, and what is known of its files.
    pub fn identity(&self) -> anyhow::Result<serde_json::Value> {
        let mut files = Vec::new();
        for (role, name) in
            [("model", Some(&self.model)), ("lm", self.lm.as_ref()), ("vision", self.vision.as_ref())]
        {
            // Released models have names of their own, which stand for their files.
            if let Some(path) = name.and_then(|name| locate(name).ok()) {
                files.extend(FileRecord::all_of(role, &path)?);
            }
        }
        let Self { model, lm, vision } = self;
        Ok(json!({"model": model, "lm": lm, "vision": vision, "files": files}))
    }
}
