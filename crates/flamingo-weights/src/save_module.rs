//! Some tensors of a module as a sharded checkpoint, in the layout that hub programs use: shards of a bounded size and
//! an index beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use serde_json::json;

use crate::error::WeightsError;
use crate::load::Path as ModulePath;
use crate::save::{TensorPlan, save_safetensors};

/// The float tensors of `module` whose path is wanted, by path (`blocks.0.attention.query.weight`, without the names of
/// enum variants).
pub fn module_tensors<M: Module>(module: &M, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, TensorData> {
    let mut visitor = Gather { path: ModulePath::default(), wanted, found: BTreeMap::new() };
    module.visit(&mut visitor);
    visitor.found
}

struct Gather<F> {
    path: ModulePath,
    wanted: F,
    found: BTreeMap<String, TensorData>,
}

impl<F: Fn(&str) -> bool> ModuleVisitor for Gather<F> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join();
        if (self.wanted)(&path) {
            self.found.insert(path, param.val().into_data());
        }
    }
}

/// Writes `tensors` into `folder` as `model-00001-of-0000N.safetensors` and `model.safetensors.index.json`, in number
/// format `dtype`. No shard is larger than `max_bytes`, unless a single tensor is. The index comes last: it marks the
/// checkpoint as whole.
///
/// # Errors
///
/// If a tensor has no such number format, or a file cannot be written.
pub fn save_sharded(
    folder: &Path,
    tensors: &BTreeMap<String, TensorData>,
    dtype: DType,
    max_bytes: u64,
) -> Result<PathBuf, WeightsError> {
    let mut shards: Vec<Vec<TensorPlan>> = Vec::new();
    let mut filled = u64::MAX;
    let mut total = 0;
    for (name, data) in tensors {
        let shape = data.shape().as_slice().to_vec();
        let bytes = shape.iter().product::<usize>() as u64 * dtype.size() as u64;
        if filled.saturating_add(bytes) > max_bytes {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += bytes;
        total += bytes;
        let plan = TensorPlan { name: name.clone(), shape, dtype };
        shards.last_mut().expect("a shard was just begun").push(plan);
    }
    let metadata = BTreeMap::from([("format".to_owned(), "flamingo".to_owned())]);
    let mut map = BTreeMap::new();
    for (number, plans) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len());
        save_safetensors(&folder.join(&file), plans, &metadata, |name| Ok(tensors[name].clone()))?;
        map.extend(plans.iter().map(|plan| (plan.name.clone(), file.clone())));
    }
    let files: BTreeSet<String> = map.values().cloned().collect();
    let index = folder.join("model.safetensors.index.json");
    let text = json!({"metadata": {"total_size": total}, "weight_map": map});
    write_whole(&index, format!("{text:#}\n").as_bytes())?;
    remove_others(folder, &files)?;
    Ok(index)
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WeightsError> {
    let scratch = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = File::create(&scratch)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&scratch, path));
    written.map_err(WeightsError::io("write", path))
}

/// Shards of an earlier checkpoint that had another number of them.
fn remove_others(folder: &Path, files: &BTreeSet<String>) -> Result<(), WeightsError> {
    for entry in fs::read_dir(folder).map_err(WeightsError::io("list", folder))?.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_shard = name.starts_with("model-") && name.contains("-of-") && name.ends_with(".safetensors");
        if is_shard && !files.contains(&name) {
            fs::remove_file(entry.path()).map_err(WeightsError::io("delete", &entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;
    use crate::{Checkpoint, KeyMap, load_into};

    #[derive(Module, Debug)]
    struct Pair {
        first: Linear,
        second: Linear,
    }

    fn pair() -> Pair {
        let linear = || LinearConfig::new(3, 4).init(&Device::flex());
        Pair { first: linear(), second: linear() }
    }

    #[test]
    fn shards_are_bounded_and_read_back_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let saved = pair();
        let tensors = module_tensors(&saved, |path| path.starts_with("second") || path == "first.bias");
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["first.bias", "second.bias", "second.weight"]);
        save_sharded(folder.path(), &tensors, DType::F32, 16).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "a shard each, and the index");
        save_sharded(folder.path(), &tensors, DType::F32, 40).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "old shards are gone");

        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let map = checkpoint.names().fold(KeyMap::new(), |map, name| map.copy(name, name));
        let (loaded, report) = load_into(pair(), &checkpoint, &map.optional("first.weight")).unwrap();
        assert_eq!(report.kept, ["first.weight"]);
        assert_eq!(loaded.second.weight.to_data(), saved.second.weight.to_data());
    }
}
