//! Which data a verb reads, as flags.

use std::fs;

use anyhow::Context;
use flamingo::data::stream::{MixedSource, StreamSpec};
use flamingo::overlay;

use crate::exit::Usage;

/// The positional arguments of verbs that read data.
#[derive(Debug, clap::Args)]
pub struct Sources {
    /// A stream's configuration (*.toml), or sources as FORMAT:PATTERN, such as pairs:shards/{000..031}.tar
    #[arg(required = true, value_name = "CONFIG|SOURCE")]
    sources: Vec<String>,
}

impl Sources {
    /// The stream that a configuration describes, or one of the sources that are named.
    pub fn spec(&self) -> anyhow::Result<StreamSpec> {
        match self.sources.as_slice() {
            [config] if config.ends_with(".toml") => {
                let text = fs::read_to_string(config).with_context(|| format!("cannot read {config}"))?;
                let base = StreamSpec::new(Vec::new());
                Ok(overlay(&base, &text, config).map_err(|error| Usage(error.to_string()))?)
            }
            sources => {
                Ok(StreamSpec::new(sources.iter().map(|source| mixed(source)).collect::<Result<_, _>>()?))
            }
        }
    }
}

fn mixed(source: &str) -> Result<MixedSource, Usage> {
    let Some((format, pattern)) = source.split_once(':') else {
        return Err(Usage(format!(
            "{source:?} is neither a configuration (*.toml) nor FORMAT:PATTERN, such as pairs:shards/*.tar"
        )));
    };
    Ok(MixedSource {
        name: source.to_owned(),
        format: format.to_owned(),
        paths: vec![pattern.to_owned()],
        options: serde_json::Map::new(),
        weight: 1.0,
        flips: true,
    })
}
