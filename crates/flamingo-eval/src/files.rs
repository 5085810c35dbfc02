//! Files: written whole or not at all, and known by their contents.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::EvalError;

/// Larger files are known by their size.
const MOST_HASHED: u64 = 1 << 30;

/// Which file or folder was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileRecord {
    /// What it is for, such as `train-annotations`.
    pub role: String,
    /// Its name, without the folders that it is in.
    pub name: String,
    /// Bytes; none of a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of files of up to 1 GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl FileRecord {
    /// Of a file or folder.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn of(role: &str, path: &Path) -> Result<Self, EvalError> {
        let read = || -> io::Result<Self> {
            let metadata = std::fs::metadata(path)?;
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            let mut record = Self { role: role.to_owned(), name, bytes: None, sha256: None };
            if metadata.is_file() {
                record.bytes = Some(metadata.len());
                record.sha256 =
                    Some(()).filter(|()| metadata.len() <= MOST_HASHED).map(|()| sha256(path)).transpose()?;
            }
            Ok(record)
        };
        read().map_err(EvalError::file("read", path))
    }

    /// Of a file, or of the files that are right in a folder, by their names.
    ///
    /// # Errors
    ///
    /// If one cannot be read.
    pub fn all_of(role: &str, path: &Path) -> Result<Vec<Self>, EvalError> {
        if !path.is_dir() {
            return Ok(vec![Self::of(role, path)?]);
        }
        let entries = std::fs::read_dir(path).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let mut paths: Vec<_> =
            entries.map_err(EvalError::file("read", path))?.iter().map(|it| it.path()).collect();
        paths.retain(|path| path.is_file());
        paths.sort();
        paths.iter().map(|path| Self::of(role, path)).collect()
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => hash.update(&piece[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that is whole or not there.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), EvalError> {
    let all = || -> io::Result<File> {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = io::BufWriter::new(tempfile::NamedTempFile::new_in(folder)?);
        write(&mut file)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    all().map(drop).map_err(EvalError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_contents_and_a_folder_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_whole(&path, |file| file.write_all(b"abc")).unwrap();
        let record = FileRecord::of("annotations", &path).unwrap();
        assert_eq!((record.name.as_str(), record.bytes), ("a.json", Some(3)));
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(record.sha256.as_deref(), Some(known));
        assert_eq!(FileRecord::of("images", folder.path()).unwrap().bytes, None);
        assert_eq!(FileRecord::all_of("annotations", folder.path()).unwrap(), [record]);
        let error = FileRecord::of("x", &folder.path().join("b.json")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read") && error.contains("b.json"), "{error}");
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_whole(&path, |file| file.write_all(b"old")).unwrap();
        let failing = |file: &mut dyn Write| {
            file.write_all(b"new")?;
            Err(io::Error::other("full"))
        };
        write_whole(&path, failing).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
