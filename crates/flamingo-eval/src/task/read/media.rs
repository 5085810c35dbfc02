//! Where pictures and clips lie. Whether they are there is seen when they are asked about.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use flamingo::prompt::{Medium, Source};

/// The picture of that name in a folder.
pub(in super::super) fn image(folder: &Path, name: impl AsRef<Path>) -> Medium {
    Medium::Image(Source::File(folder.join(name)))
}

/// The clips of a folder and of the folders in it, by their names without ending: data sets name clips, but leave open in
/// which format they are kept.
pub(in super::super) struct Clips<'a> {
    folder: &'a Path,
    known: HashMap<String, PathBuf>,
}

/// The ending of a clip that is not there.
const MISSING: &str = "mp4";

impl<'a> Clips<'a> {
    /// Lists a folder; one that is not there holds nothing.
    pub fn of(folder: &'a Path) -> Self {
        let mut clips = Self { folder, known: HashMap::new() };
        for path in clips.list(folder) {
            clips.list(&path);
        }
        clips
    }

    /// Takes up a folder's files, and gives its folders.
    fn list(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(stem) = path.file_stem().and_then(|it| it.to_str()) {
                // What the folder itself holds comes first, then the least, so that the choice is always the same.
                let stem = stem.to_owned();
                let other = self.known.get(&stem);
                if other.is_none_or(|it| (it.components().count(), it) > (path.components().count(), &path)) {
                    self.known.insert(stem, path);
                }
            }
        }
        folders
    }

    /// The clip of that name.
    pub fn get(&self, name: &str) -> Medium {
        let path = self.known.get(name).cloned();
        Medium::Video(Source::File(path.unwrap_or_else(|| self.folder.join(format!("{name}.{MISSING}")))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_found_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let within = folder.path().join("running");
        fs::create_dir(&within).unwrap();
        for path in [folder.path().join("a.b.webm"), within.join("c.avi"), within.join("a.b.avi")] {
            fs::write(path, "").unwrap();
        }
        let clips = Clips::of(folder.path());
        let path = |name| match clips.get(name) {
            Medium::Video(Source::File(path)) => path,
            medium => panic!("{medium:?}"),
        };
        assert_eq!(path("a.b"), folder.path().join("a.b.webm"));
        assert_eq!(path("c"), within.join("c.avi"));
        assert_eq!(path("d"), folder.path().join("d.mp4"));
    }
}
