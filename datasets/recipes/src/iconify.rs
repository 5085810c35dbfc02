//! Drawings of an Iconify package: one JSON file of SVG bodies, and one that says which character each is.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use crate::emojibase::normalise;
use crate::package::{Package, Registry};

/// Google's Noto emoji.
pub const NOTO: Package = Package {
    registry: Registry::Npm,
    name: "@iconify-json/noto",
    version: "1.2.9",
    sha256: "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
    licence: "Apache-2.0",
};

/// Microsoft's Fluent emoji in the flat style.
pub const FLUENT_FLAT: Package = Package {
    registry: Registry::Npm,
    name: "@iconify-json/fluent-emoji-flat",
    version: "1.2.6",
    sha256: "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    licence: "MIT",
};

/// SVG documents by normalised code.
///
/// # Errors
///
/// If the package cannot be had or is not what it should be.
pub fn drawings(package: &Package) -> anyhow::Result<BTreeMap<String, String>> {
    let files = package.files(&["icons.json", "chars.json"])?;
    let file = |name: &str| files.get(name).with_context(|| format!("{} has no {name}", package.name));
    parse(file("icons.json")?, file("chars.json")?).with_context(|| package.name.to_owned())
}

#[derive(Deserialize)]
struct IconSet {
    icons: BTreeMap<String, Icon>,
    #[serde(default)]
    aliases: BTreeMap<String, Alias>,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct Icon {
    body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alias {
    parent: String,
    #[serde(default)]
    h_flip: bool,
    #[serde(default)]
    v_flip: bool,
    #[serde(default)]
    rotate: u32,
}

fn parse(icons: &[u8], chars: &[u8]) -> anyhow::Result<BTreeMap<String, String>> {
    let set: IconSet = serde_json::from_slice(icons).context("icons.json")?;
    let chars: BTreeMap<String, String> = serde_json::from_slice(chars).context("chars.json")?;
    let drawn = |(code, name): (&String, &String)| Some((normalise(code), set.svg(name)?));
    Ok(chars.iter().filter_map(drawn).collect())
}

impl IconSet {
    /// The document of an icon or of a turned or mirrored one.
    fn svg(&self, name: &str) -> Option<String> {
        let (width, height) = (self.width, self.height);
        let body = match (self.icons.get(name), self.aliases.get(name)) {
            (Some(icon), _) => icon.body.clone(),
            (None, Some(alias)) => {
                let parent = &self.icons.get(&alias.parent)?.body;
                format!("<g transform=\"{}\">{parent}</g>", alias.transform(width, height))
            }
            (None, None) => return None,
        };
        Some(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">{body}</svg>"
        ))
    }
}

impl Alias {
    fn transform(&self, width: u32, height: u32) -> String {
        let (x, y) = if self.h_flip { (width, -1) } else { (0, 1) };
        let (down, up) = if self.v_flip { (height, -1) } else { (0, 1) };
        let (cx, cy) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
        format!("translate({x} {down}) scale({y} {up}) rotate({} {cx} {cy})", self.rotate * 90)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icons_and_mirrored_aliases_are_found_by_character() {
        let icons =
            br#"{"icons":{"left":{"body":"<path/>"}},"aliases":{"right":{"parent":"left","hFlip":true}},
            "width":32,"height":32}"#;
        let chars = br#"{"1f448":"left","1f449-fe0f":"right","1f44a":"gone"}"#;
        let drawings = parse(icons, chars).unwrap();
        assert_eq!(drawings.len(), 2);
        assert!(drawings["1f449"].contains("translate(32 0) scale(-1 1)"));
    }
}
