//! Programs, folders and settings that matter to this command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flamingo::hub::HubConfig;
use serde::Serialize;

use crate::caches;

/// A program that is started where it is there.
#[derive(Debug, Serialize)]
pub struct Program {
    pub name: &'static str,
    /// As it says itself; `None` if it is not there.
    pub version: Option<String>,
}

impl Program {
    pub fn gather() -> Vec<Self> {
        ["ffmpeg", "ffprobe"].into_iter().map(|name| Self { name, version: version(name) }).collect()
    }
}

/// The third word of `ffmpeg version 5.1.6-0+deb12u1 Copyright …`.
fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("-version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.split_whitespace().nth(2).filter(|_| output.status.success())?;
    Some(word.to_owned())
}

/// Where something is kept.
#[derive(Debug, Serialize)]
pub struct Kept {
    pub what: &'static str,
    /// `None` if nothing says where it would be.
    pub path: Option<PathBuf>,
    /// Of all files in it; `None` if it is not there.
    pub bytes: Option<u64>,
    /// How it comes to be there.
    pub made_by: &'static str,
}

impl Kept {
    pub fn gather() -> Vec<Self> {
        let hub = HubConfig::from_env().ok().map(|hub| hub.cache);
        vec![
            Self::new("models of the hub", hub, "made when a model is first named by its id, owner/name"),
            Self::new(
                "small weights",
                flamingo::cache::weights(),
                "made by `cargo xtask data fetch smollm2`",
            ),
            Self::new("history of chat", caches::chat_history(), "made by `flamingo chat` in a terminal"),
        ]
    }

    fn new(what: &'static str, path: Option<PathBuf>, made_by: &'static str) -> Self {
        let bytes = path.as_deref().filter(|path| path.exists()).map(size);
        Self { what, path, bytes, made_by }
    }
}

/// Of a file, or of all files below a folder; links count for nothing, and neither does what cannot be read.
fn size(path: &Path) -> u64 {
    let Ok(about) = fs::symlink_metadata(path) else { return 0 };
    if about.is_file() {
        return about.len();
    }
    match fs::read_dir(path) {
        Ok(entries) if about.is_dir() => entries.flatten().map(|entry| size(&entry.path())).sum(),
        _ => 0,
    }
}

/// A setting in the environment.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Variable {
    pub name: String,
    /// `None` if it may be a secret.
    pub value: Option<String>,
}

/// Variables of which the value helps, and tells nothing that is nobody's business.
const PLAIN: [&str; 9] = [
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "XDG_CACHE_HOME",
    "CUDA_VISIBLE_DEVICES",
    "CUBECL_WGPU_DEFAULT_DEVICE",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "RUST_BACKTRACE",
];

impl Variable {
    /// Those of the hub, and those that say where caches and devices are.
    pub fn gather() -> Vec<Self> {
        let all = std::env::vars_os();
        let text = all.map(|(name, value)| (name.to_string_lossy().into(), value.to_string_lossy().into()));
        Self::of(text)
    }

    fn of(variables: impl Iterator<Item = (String, String)>) -> Vec<Self> {
        let matter = variables.filter(|(name, _)| name.starts_with("HF_") || PLAIN.contains(&name.as_str()));
        let shown = matter.map(|(name, value)| {
            let value = match name.as_str() {
                "HF_ENDPOINT" => Some(without_password(&value)),
                plain => PLAIN.contains(&plain).then_some(value),
            };
            Self { name, value }
        });
        let mut shown: Vec<Self> = shown.collect();
        shown.sort_by(|one, other| one.name.cmp(&other.name));
        shown
    }
}

/// An address without the name and password that may stand before its host.
fn without_password(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    match host.rsplit_once('@') {
        Some((_, host)) if path.is_empty() => format!("{scheme}://…@{host}"),
        Some((_, host)) => format!("{scheme}://…@{host}/{path}"),
        None => address.to_owned(),
    }
}

/// Whether a token of the hub was found, in the environment or in its file.
pub fn has_token() -> bool {
    HubConfig::from_env().is_ok_and(|hub| hub.token.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_told() {
        let variables = [
            ("HF_TOKEN", "hf_secret"),
            ("HF_ENDPOINT", "https://me:secret@mirror/hub"),
            ("HF_HOME", "models"),
            ("HF_SOMETHING_NEW", "secret"),
            ("HOME", "home"),
        ];
        let told = Variable::of(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        let told: Vec<(&str, Option<&str>)> =
            told.iter().map(|variable| (variable.name.as_str(), variable.value.as_deref())).collect();
        let expected = [
            ("HF_ENDPOINT", Some("https://…@mirror/hub")),
            ("HF_HOME", Some("models")),
            ("HF_SOMETHING_NEW", None),
            ("HF_TOKEN", None),
        ];
        assert_eq!(told, expected);
        assert_eq!(without_password("http://mirror"), "http://mirror");
    }

    #[test]
    fn sizes_are_those_of_all_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        for (name, bytes) in [("a", 3), ("in/b", 4)] {
            fs::write(folder.path().join(name), vec![0; bytes]).unwrap();
        }
        assert_eq!(size(folder.path()), 7);
        assert_eq!(size(&folder.path().join("a")), 3);
        assert_eq!(size(&folder.path().join("nothing")), 0);
    }
}
