//! Models in the cache: the layout that `huggingface_hub` describes and other programs share.
//!
//! ```text
//! models--OWNER--NAME/refs/REVISION                 the commit that a branch or tag was
//!                    /snapshots/COMMIT/FILE         links to
//!                    /blobs/ETAG                    the files
//!                    /.no_exist/COMMIT/FILE         empty: the commit has no such file
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use super::config::HubConfig;
use super::files::{SMALL, shards, weights};
use super::id::{ModelId, is_plain};

/// The folder of one repository in the cache.
pub(super) fn repository(config: &HubConfig, id: &ModelId) -> PathBuf {
    config.cache.join(format!("models--{}", id.repository().replace('/', "--")))
}

/// The folder of one commit.
pub(super) fn of_commit(repository: &Path, commit: &str) -> PathBuf {
    repository.join("snapshots").join(commit)
}

/// Where it is marked that a commit has no file `name`.
pub(super) fn absence(repository: &Path, commit: &str, name: &str) -> PathBuf {
    repository.join(".no_exist").join(commit).join(name)
}

/// The model's folder, if it is whole.
///
/// Other programs fetch single files, so that what is there may be a part. Weights must be there with all their shards;
/// and, unless the hub cannot be asked, every small file must be there or be marked as one that the commit has not.
pub(super) fn find(config: &HubConfig, id: &ModelId) -> Option<PathBuf> {
    let repository = repository(config, id);
    let commit = match fs::read_to_string(repository.join("refs").join(id.revision())) {
        Ok(commit) => commit.trim().to_owned(),
        Err(_) => id.revision().to_owned(),
    };
    let folder = Some(of_commit(&repository, &commit)).filter(|_| is_plain(&commit))?;
    let known = |name: &&str| folder.join(name).is_file() || absence(&repository, &commit, name).is_file();
    let whole = has_weights(&folder) && (config.offline || SMALL.iter().all(known));
    whole.then_some(folder)
}

fn has_weights(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    // A link whose file somebody removed is no file.
    let names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()).filter(|path| path.is_file()))
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Ok(name) = weights(&names) else { return false };
    match shards(name, || fs::read(folder.join(name))) {
        Ok(shards) => shards.is_none_or(|shards| shards.iter().all(|shard| folder.join(shard).is_file())),
        Err(_) => false,
    }
}
