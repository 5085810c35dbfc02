//! What a run is told: a preset, under a TOML file, under flags.

use std::path::Path;

use anyhow::{Context, bail};
use flamingo::core::{nearest, overlay_value};
use flamingo::join::JoinConfig;
use flamingo::run::RunConfig;
use flamingo::{FlamingoError, overlay};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The key of a file that names what it is laid over.
const PRESET: &str = "preset";
const PRESETS: [&str; 2] = ["nano", "smol"];

/// A complete configuration, of either kind of run.
#[derive(Debug, Clone, PartialEq)]
pub enum Configuration {
    /// All three stages from scratch.
    Scratch(Box<RunConfig>),
    /// Two published models joined.
    Join(Box<JoinConfig>),
}

impl Configuration {
    /// The preset that `file` names (nano, if it names none), under the file, under `settings` (`KEY=VALUE`), under
    /// `seed`.
    pub fn read(file: Option<&Path>, settings: &[String], seed: Option<u64>) -> anyhow::Result<Self> {
        let (preset, patch) = match file {
            Some(file) => patch(file)?,
            None => (None, Value::Object(serde_json::Map::new())),
        };
        let origin = file.map(|file| file.display().to_string()).unwrap_or_default();
        Ok(match preset.as_deref().unwrap_or(PRESETS[0]) {
            "nano" => {
                let mut config: RunConfig = laid_over(&RunConfig::nano(), patch, &origin, settings)?;
                config.seed = seed.unwrap_or(config.seed);
                Self::Scratch(Box::new(config))
            }
            "smol" => {
                let mut config: JoinConfig = laid_over(&JoinConfig::smol(), patch, &origin, settings)?;
                config.seed = seed.unwrap_or(config.seed);
                Self::Join(Box::new(config))
            }
            other => {
                let hint = nearest::hint(other, PRESETS);
                bail!("{origin}: unknown preset {other:?}: there are {}{hint}", PRESETS.join(", "))
            }
        })
    }

    /// As TOML, complete.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        Ok(match self {
            Self::Scratch(config) => toml::to_string_pretty(config)?,
            Self::Join(config) => format!("{PRESET} = \"smol\"\n{}", toml::to_string_pretty(config)?),
        })
    }
}

/// The preset's name and the rest of a file.
fn patch(file: &Path) -> anyhow::Result<(Option<String>, Value)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut table: toml::Table =
        toml::from_str(&text).with_context(|| format!("{}: not valid TOML", file.display()))?;
    let preset = match table.remove(PRESET) {
        None => None,
        Some(toml::Value::String(name)) => Some(name),
        Some(other) => bail!("{}: `{PRESET}` must be a name in quotes, not {other}", file.display()),
    };
    Ok((preset, serde_json::to_value(table)?))
}

fn laid_over<T: Serialize + DeserializeOwned>(
    preset: &T,
    patch: Value,
    origin: &str,
    settings: &[String],
) -> anyhow::Result<T> {
    let mut config = overlay_value(preset, patch, origin).map_err(FlamingoError::from)?;
    for setting in settings {
        config = overlay(&config, setting, format!("--set {setting}")).map_err(FlamingoError::from)?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, settings: &[&str]) -> anyhow::Result<Configuration> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        std::fs::write(&file, text).unwrap();
        let settings: Vec<String> = settings.iter().map(|text| (*text).to_owned()).collect();
        Configuration::read(Some(&file), &settings, Some(9))
    }

    #[test]
    fn a_file_chooses_its_preset() {
        let Configuration::Join(config) =
            read("preset = \"smol\"\n[train]\nsteps = 7\n", &["train.log_every=3"]).unwrap()
        else {
            panic!("smol joins two models")
        };
        assert_eq!((config.train.steps, config.train.log_every, config.seed), (7, 3, 9));
        assert!(
            matches!(read("seed = 3\n", &[]).unwrap(), Configuration::Scratch(config) if config.seed == 9)
        );
        let error = read("preset = \"smoll\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean \"smol\"?"), "{error}");
        let error = read("preset = \"smol\"\nsed = 3\n", &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean \"seed\"?"), "{error}");
    }

    #[test]
    fn what_is_printed_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        for preset in PRESETS {
            let config = read(&format!("preset = \"{preset}\"\n"), &[]).unwrap();
            std::fs::write(&file, config.to_toml().unwrap()).unwrap();
            assert_eq!(Configuration::read(Some(&file), &[], None).unwrap(), config);
        }
    }
}
