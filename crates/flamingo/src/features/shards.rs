//! The files of a cache: an index of all that is in them, made from their headers.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use burn::tensor::{DType, TensorData};
use flamingo_data::{DataError, MediaKey};
use flamingo_weights::{
    Checkpoint, Encoding, Format, TensorInfo, TensorPlan, WeightsError, save_safetensors,
};
use half::f16;
use sha2::{Digest, Sha256};

use super::identity::hex;
use crate::error::FlamingoError;

/// What shards' names begin and end with; a number and a hash of the contents' keys are between.
const PREFIX: &str = "features-";
const SUFFIX: &str = ".safetensors";

/// Files that are open at once.
const OPEN_FILES: usize = 64;

/// After so long an unfinished file is nobody's any more.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Where features lie.
#[derive(Debug, Clone, Copy)]
struct Place {
    shard: u32,
    frames: u32,
    offset: u64,
}

/// The shards of a folder.
#[derive(Debug)]
pub(super) struct Shards {
    folder: PathBuf,
    shape: [usize; 2],
    paths: Vec<PathBuf>,
    places: HashMap<MediaKey, Place>,
    /// The last ones that were used, newest last.
    open: Mutex<Vec<(u32, Arc<Mutex<File>>)>>,
}

/// Features that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub items: BTreeMap<MediaKey, Vec<f16>>,
    pub bytes: usize,
}

impl Pending {
    pub(super) fn add(&mut self, key: MediaKey, values: Vec<f16>) {
        self.bytes += 2 * values.len();
        self.items.insert(key, values);
    }
}

impl Shards {
    pub(super) fn new(folder: &Path, shape: [usize; 2]) -> Self {
        let folder = folder.to_owned();
        Self { folder, shape, paths: Vec::new(), places: HashMap::new(), open: Mutex::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn contains(&self, key: &MediaKey) -> bool {
        self.places.contains_key(key)
    }

    pub(super) fn keys(&self) -> Vec<MediaKey> {
        let mut keys: Vec<MediaKey> = self.places.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// Adds the shards that others have written meanwhile.
    pub(super) fn refresh(&mut self) -> Result<(), FlamingoError> {
        let mut names: Vec<PathBuf> = self.listing()?.into_iter().filter(|path| is_shard(path)).collect();
        names.sort();
        for path in names {
            if !self.paths.contains(&path) {
                self.add(path)?;
            }
        }
        Ok(())
    }

    /// Removes what killed processes have left behind.
    pub(super) fn tidy(&self) -> Result<(), FlamingoError> {
        for path in self.listing()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let age =
                || SystemTime::now().duration_since(path.metadata()?.modified()?).map_err(io::Error::other);
            let unfinished = name.starts_with(&format!(".{PREFIX}")) && name.ends_with(".tmp");
            if unfinished && age().is_ok_and(|age| age > ABANDONED) {
                // Another process may have been first.
                let _gone = std::fs::remove_file(&path);
            }
        }
        Ok(())
    }

    fn listing(&self) -> Result<Vec<PathBuf>, FlamingoError> {
        let paths = std::fs::read_dir(&self.folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
        paths.map_err(|error| FlamingoError::Folder {
            path: self.folder.clone(),
            message: format!("cannot be read ({error})"),
        })
    }

    fn add(&mut self, path: PathBuf) -> Result<(), FlamingoError> {
        let damaged = |what: String| {
            let what = format!("{what}; remove the file, and its features are made again");
            DataError::Features { path: path.clone(), what }
        };
        let file = Checkpoint::open(&path).map_err(|error| match error {
            WeightsError::Corrupt { message, .. } | WeightsError::UnknownFormat { message, .. } => {
                damaged(message)
            }
            error => damaged(error.to_string()),
        })?;
        if file.format() != Format::Safetensors {
            return Err(damaged(format!("is a {} file, and should be safetensors", file.format())).into());
        }
        let shard = self.paths.len() as u32;
        let mut places = Vec::new();
        for name in file.names() {
            let key = MediaKey::parse(name)
                .ok_or_else(|| damaged(format!("has a tensor {name:?} where keys of media should be")))?;
            let place = file.info(name).and_then(|info| Some((self.frames(info)?, file.offset(name)?)));
            let (frames, offset) = place.ok_or_else(|| {
                let [positions, width] = self.shape;
                damaged(format!("tensor {name:?} is not f16 of shape [frames, {positions}, {width}]"))
            })?;
            places.push((key, Place { shard, frames, offset }));
        }
        // What two processes have made is the same: the first stays.
        for (key, place) in places {
            self.places.entry(key).or_insert(place);
        }
        self.paths.push(path);
        Ok(())
    }

    /// The number of frames, if the tensor is of the right kind.
    fn frames(&self, info: &TensorInfo) -> Option<u32> {
        let [positions, width] = self.shape;
        let right = info.encoding == Encoding::Plain(DType::F16);
        match info.shape[..] {
            [frames, p, e] if right && frames > 0 && [p, e] == [positions, width] => frames.try_into().ok(),
            _ => None,
        }
    }

    pub(super) fn read(&self, key: &MediaKey, out: &mut Vec<f16>) -> Result<Option<usize>, DataError> {
        let Some(Place { shard, frames, offset }) = self.places.get(key).copied() else { return Ok(None) };
        let mut bytes = vec![0; 2 * frames as usize * self.shape.iter().product::<usize>()];
        let read = self.file(shard).and_then(|file| {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(offset))?;
            file.read_exact(&mut bytes)
        });
        read.map_err(|error| DataError::Features {
            path: self.paths[shard as usize].clone(),
            what: format!("cannot be read ({error}); has it changed meanwhile? Open the cache again"),
        })?;
        out.extend(bytes.as_chunks::<2>().0.iter().map(|pair| f16::from_le_bytes(*pair)));
        Ok(Some(frames as usize))
    }

    fn file(&self, shard: u32) -> io::Result<Arc<Mutex<File>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter().position(|(number, _)| *number == shard).map(|at| open.remove(at).1);
        let file = match known {
            Some(file) => file,
            None => Arc::new(Mutex::new(File::open(&self.paths[shard as usize])?)),
        };
        if open.len() == OPEN_FILES {
            open.remove(0);
        }
        open.push((shard, Arc::clone(&file)));
        Ok(file)
    }

    /// Writes a shard and adds it.
    pub(super) fn write(&mut self, pending: Pending) -> Result<(), FlamingoError> {
        if pending.items.is_empty() {
            return Ok(());
        }
        let [positions, width] = self.shape;
        let mut hash = Sha256::new();
        let mut plans = Vec::with_capacity(pending.items.len());
        for (key, values) in &pending.items {
            let frames = values.len() / (positions * width);
            hash.update(key.0);
            plans.push(TensorPlan {
                name: key.to_string(),
                shape: vec![frames, positions, width],
                dtype: DType::F16,
            });
        }
        let number = self.paths.iter().filter_map(|path| number(path)).max().map_or(0, |last| last + 1);
        let name = format!("{PREFIX}{number:06}-{}{SUFFIX}", hex(&hash.finalize()[..4]));
        let path = self.folder.join(name);
        // The writer asks in the order of the names, which is that of the keys.
        let mut items = pending.items;
        save_safetensors(&path, &plans, &BTreeMap::new(), |name| {
            let values = MediaKey::parse(name).and_then(|key| items.remove(&key)).unwrap_or_default();
            let frames = values.len() / (positions * width);
            Ok(TensorData::new(values, [frames, positions, width]))
        })?;
        self.add(path)
    }
}

fn is_shard(path: &Path) -> bool {
    number(path).is_some()
}

/// The number in a shard's name; `None` if it is no shard's.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (number, _hash) = name.split_once('-')?;
    number.parse().ok()
}
