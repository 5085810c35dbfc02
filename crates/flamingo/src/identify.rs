//! What a checkpoint file is, whoever wrote it: format, tensors, the model that they look like, and what it takes
//! besides to run that model. Nothing but names and shapes is read.

use std::fmt;
use std::path::{Path, PathBuf};

use flamingo_weights::{Checkpoint, Format};
use serde::Serialize;

use crate::error::FlamingoError;
use crate::pretrained::kind::Kind;

/// A checkpoint at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct FileSummary {
    /// The file or folder.
    pub path: PathBuf,
    /// `safetensors`, `PyTorch`, `PyTorch (legacy)` or `GGUF`.
    pub format: String,
    /// What its tensors look like.
    pub model: String,
    /// What it takes besides, a line each.
    pub needs: Vec<String>,
    /// Numbers in all tensors.
    pub parameters: u64,
    /// Bytes of all tensors, as stored.
    pub bytes: u64,
    /// By name.
    pub tensors: Vec<TensorLine>,
}

/// One tensor.
#[derive(Debug, Clone, Serialize)]
pub struct TensorLine {
    /// Its name in the file.
    pub name: String,
    /// Sides, outermost first.
    pub shape: Vec<usize>,
    /// Number format, or kind of quantised blocks.
    pub stored: String,
    /// Bytes in the file.
    pub bytes: u64,
}

impl FileSummary {
    /// Looks at a file, a folder or the index of a sharded checkpoint.
    ///
    /// # Errors
    ///
    /// If it is no checkpoint, or a damaged one.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FlamingoError> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::open(path)?;
        let tensors: Vec<TensorLine> = checkpoint
            .names()
            .filter_map(|name| Some((name, checkpoint.info(name)?)))
            .map(|(name, info)| TensorLine {
                name: name.to_owned(),
                shape: info.shape.clone(),
                stored: info.encoding.to_string(),
                bytes: info.n_bytes,
            })
            .collect();
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let kind = Kind::of(&checkpoint, folder);
        Ok(Self {
            path: path.to_owned(),
            format: checkpoint.format().to_string(),
            needs: needs(&kind, checkpoint.format(), folder),
            model: kind.to_string(),
            parameters: tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum(),
            bytes: tensors.iter().map(|tensor| tensor.bytes).sum(),
            tensors,
        })
    }
}

/// What it takes to run a model of that kind, besides the file itself.
fn needs(kind: &Kind, format: Format, folder: &Path) -> Vec<String> {
    let missing = |files: &[&str]| -> Vec<String> {
        let absent = files.iter().filter(|file| !folder.join(file).is_file());
        absent.map(|file| format!("{file} beside it")).collect()
    };
    match kind {
        Kind::Idefics => missing(&["config.json", "tokenizer.json"]),
        Kind::OpenFlamingo { .. } => [
            "its vision encoder, CLIP ViT-L/14 of OpenAI: a file or folder",
            "its language model's folder, for sizes and tokens, and weights where they are not in the file",
        ]
        .map(str::to_owned)
        .into(),
        Kind::Own => missing(&["model.json", "tokenizer.json"]),
        Kind::Language(_) if format == Format::Gguf => Vec::new(),
        Kind::Language(_) => missing(&["tokenizer.json"]),
        Kind::Vision(_) => Vec::new(),
        Kind::Unknown => missing(&["config.json"]),
    }
}

impl fmt::Display for FileSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.path.display(), self.format)?;
        writeln!(f, "looks like  {}", self.model)?;
        for need in &self.needs {
            writeln!(f, "needs       {need}")?;
        }
        let mib = self.bytes as f64 / f64::from(1 << 20);
        writeln!(f, "holds       {} tensors, {} numbers, {mib:.1} MiB", self.tensors.len(), self.parameters)?;
        let width = self.tensors.iter().map(|tensor| tensor.name.len()).max().unwrap_or(0);
        for TensorLine { name, shape, stored, .. } in &self.tensors {
            writeln!(f, "  {name:width$}  {stored:6} {shape:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::tensor::{DType, TensorData};
    use flamingo_weights::{TensorPlan, save_safetensors};

    use super::*;

    /// What a file of tensors with these names looks like.
    fn model_of(names: &[&str]) -> FileSummary {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.safetensors");
        let plan =
            |name: &&str| TensorPlan { name: (*name).to_owned(), shape: vec![2, 3], dtype: DType::BF16 };
        let plans: Vec<TensorPlan> = names.iter().map(plan).collect();
        let zeros = |_: &str| Ok(TensorData::zeros::<f32, _>([2, 3]));
        save_safetensors(&path, &plans, &BTreeMap::new(), zeros).unwrap();
        FileSummary::open(&path).unwrap()
    }

    #[test]
    fn models_are_told_by_their_tensors() {
        let open_flamingo = ["perceiver.latents", "lang_encoder.gated_cross_attn_layers.3.attn_gate"];
        let summary = model_of(&open_flamingo);
        assert!(summary.model.contains("OpenFlamingo, trained parts only") && summary.needs.len() == 2);
        assert_eq!((summary.parameters, summary.bytes), (12, 24));
        let idefics = ["model.perceiver_resampler.latents", "model.gated_cross_attn_layers.0.alpha_dense"];
        assert_eq!(model_of(&idefics).needs, ["config.json beside it", "tokenizer.json beside it"]);
        assert!(model_of(&["visual.conv1.weight"]).model.contains("open_clip"));
        assert!(model_of(&["_conv_stem.weight"]).model.contains("efficientnet-lite-pytorch"));
        assert!(model_of(&["a.b"]).model.contains("no model"));
    }

    #[test]
    fn a_file_that_is_no_checkpoint_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note.txt");
        std::fs::write(&path, "not a checkpoint").unwrap();
        let error = FileSummary::open(&path).unwrap_err().to_string();
        assert!(error.contains("note.txt"), "{error}");
    }
}
