//! Drawings of the OpenMoji package: one SVG file a character.

use std::collections::BTreeMap;

use anyhow::ensure;

use crate::emojibase::normalise;
use crate::package::{Package, Registry};

/// OpenMoji.
pub const PACKAGE: Package = Package {
    registry: Registry::Npm,
    name: "openmoji",
    version: "17.0.0",
    sha256: "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
    licence: "CC-BY-SA-4.0",
};

const FOLDER: &str = "color/svg/";

/// SVG documents by normalised code.
///
/// # Errors
///
/// If the package cannot be had or holds no drawings.
pub fn drawings() -> anyhow::Result<BTreeMap<String, String>> {
    let files = PACKAGE.files(&[FOLDER])?;
    let drawings: BTreeMap<String, String> = files
        .into_iter()
        .filter_map(|(path, bytes)| {
            let code = path.strip_prefix(FOLDER)?.strip_suffix(".svg")?;
            Some((normalise(code), String::from_utf8(bytes).ok()?))
        })
        .collect();
    ensure!(!drawings.is_empty(), "{} has no {FOLDER}*.svg", PACKAGE.name);
    Ok(drawings)
}
