//! Where the hub and its cache are, in the variables that the hub's own programs read.

use std::ffi::OsString;
use std::fmt;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;

use crate::error::FlamingoError;

/// How models are fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// The hub's address, without a slash at its end.
    pub endpoint: String,
    /// The folder of the cache, in the layout that all programs of the hub share.
    pub cache: PathBuf,
    /// Who asks, for models that are private or whose terms must be accepted.
    pub token: Option<String>,
    /// Whether only the cache may be used.
    pub offline: bool,
    /// Whether downloads show a bar on standard error.
    pub progress: bool,
    /// How often a transfer that breaks off is taken up again.
    pub retries: u32,
}

impl HubConfig {
    /// What the environment says, as the hub's own Python package reads it.
    ///
    /// | variable | what it is | if it is not set |
    /// |---|---|---|
    /// | `HF_ENDPOINT` | the hub or a mirror of it | `https://huggingface.co` |
    /// | `HF_HOME` | folder of cache and token | `huggingface` in `XDG_CACHE_HOME`, else in `~/.cache` |
    /// | `HF_HUB_CACHE` | the cache | `hub` in `HF_HOME` |
    /// | `HF_TOKEN` | who asks | the file `token` in `HF_HOME`, if there is one |
    /// | `HF_HUB_OFFLINE` | `1`, `ON`, `YES`, `TRUE`: only the cache | the hub may be asked |
    ///
    /// Bars are shown if standard error is a terminal.
    ///
    /// # Errors
    ///
    /// If no variable and no home folder says where the cache is.
    pub fn from_env() -> Result<Self, FlamingoError> {
        Self::from_vars(|name| std::env::var_os(name), std::env::home_dir())
    }

    fn from_vars(
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, FlamingoError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| variable(name).map(|value| value.to_string_lossy().trim().to_owned());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let hub_home = path("HF_HOME").or_else(|| {
            let caches = path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")))?;
            Some(caches.join("huggingface"))
        });
        let cache = path("HF_HUB_CACHE").or_else(|| Some(hub_home.as_ref()?.join("hub")));
        let saved_token = || {
            let token = std::fs::read_to_string(hub_home.as_ref()?.join("token")).ok()?;
            Some(token.trim().to_owned()).filter(|token| !token.is_empty())
        };
        let offline = text("HF_HUB_OFFLINE").unwrap_or_default().to_ascii_uppercase();
        Ok(Self {
            endpoint: text("HF_ENDPOINT")
                .map(|endpoint| endpoint.trim_end_matches('/').to_owned())
                .unwrap_or_else(|| "https://huggingface.co".to_owned()),
            cache: cache.ok_or_else(|| FlamingoError::Folder {
                path: "huggingface/hub".into(),
                message: "nothing says where this cache is: set HF_HOME or HF_HUB_CACHE".to_owned(),
            })?,
            token: text("HF_TOKEN").or_else(saved_token),
            offline: ["1", "ON", "YES", "TRUE"].contains(&offline.as_str()),
            progress: stderr().is_terminal(),
            retries: 5,
        })
    }
}

impl fmt::Debug for HubConfig {
    /// Without the token, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, cache, token, offline, progress, retries } = self;
        f.debug_struct("HubConfig")
            .field("endpoint", endpoint)
            .field("cache", cache)
            .field("token", &token.as_ref().map(|_| "…"))
            .field("offline", offline)
            .field("progress", progress)
            .field("retries", retries)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(variables: &[(&str, &str)], home: Option<&str>) -> Result<HubConfig, FlamingoError> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        HubConfig::from_vars(|name| find(name).map(|(_, value)| value.into()), home.map(PathBuf::from))
    }

    #[test]
    fn without_variables_it_is_the_public_hub_and_the_home_folder() {
        let config = config(&[("HF_TOKEN", ""), ("HF_HUB_OFFLINE", "0")], Some("home")).unwrap();
        assert_eq!(config.endpoint, "https://huggingface.co");
        assert_eq!(config.cache, Path::new("home/.cache/huggingface/hub"));
        assert_eq!((config.token, config.offline), (None, false));
    }

    #[test]
    fn each_variable_is_read() {
        let cache = |variables: &[(&str, &str)]| config(variables, Some("home")).unwrap().cache;
        assert_eq!(cache(&[("XDG_CACHE_HOME", "x")]), Path::new("x/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "x"), ("HF_HOME", "h")]), Path::new("h/hub"));
        assert_eq!(cache(&[("HF_HOME", "h"), ("HF_HUB_CACHE", "c")]), Path::new("c"));
        let variables =
            [("HF_ENDPOINT", "http://mirror/"), ("HF_TOKEN", " secret\n"), ("HF_HUB_OFFLINE", "true")];
        let config = config(&variables, Some("home")).unwrap();
        assert_eq!((config.endpoint.as_str(), config.offline), ("http://mirror", true));
        assert_eq!(config.token.as_deref(), Some("secret"));
        assert!(!format!("{config:?}").contains("secret"), "a token is not for logs");
    }

    #[test]
    fn a_saved_token_is_found_and_a_missing_home_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "saved\n").unwrap();
        let found = config(&[("HF_HOME", home.path().to_str().unwrap())], None).unwrap();
        assert_eq!(found.token.as_deref(), Some("saved"));
        assert!(config(&[], None).unwrap_err().to_string().contains("HF_HOME"));
    }
}
