//! Drawings of an Iconify package: one JSON file of SVG bodies, and one that says which character each is.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use crate::emojibase::{Concept, normalise};
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

/// Google's emoji before the redrawing of 2017.
pub const NOTO_V1: Package = Package {
    registry: Registry::Npm,
    name: "@iconify-json/noto-v1",
    version: "1.2.5",
    sha256: "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
    licence: "Apache-2.0",
};

/// EmojiTwo, which goes on from the free version of EmojiOne.
pub const EMOJIONE: Package = Package {
    registry: Registry::Npm,
    name: "@iconify-json/emojione",
    version: "1.2.3",
    sha256: "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
    licence: "CC-BY-4.0",
};

/// Mozilla's emoji of Firefox OS.
pub const FXEMOJI: Package = Package {
    registry: Registry::Npm,
    name: "@iconify-json/fxemoji",
    version: "1.2.2",
    sha256: "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
    licence: "Apache-2.0",
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

/// The same of a package that does not say which characters its icons are: an icon is the concept whose name it has, but
/// for capitals, spaces and punctuation (`admissiontickets`, `a-button-blood-type`).
///
/// # Errors
///
/// As [`drawings`].
pub fn named_drawings(
    package: &Package,
    concepts: &BTreeMap<String, Concept>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let files = package.files(&["icons.json"])?;
    let icons = files.get("icons.json").with_context(|| format!("{} has no icons.json", package.name))?;
    parse_named(icons, concepts).with_context(|| package.name.to_owned())
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

fn parse_named(
    icons: &[u8],
    concepts: &BTreeMap<String, Concept>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let set: IconSet = serde_json::from_slice(icons).context("icons.json")?;
    let icons: BTreeMap<String, &String> =
        set.icons.keys().chain(set.aliases.keys()).map(|name| (letters(name), name)).collect();
    let drawn = |(code, concept): (&String, &Concept)| {
        Some((code.clone(), set.svg(icons.get(&letters(&concept.name))?)?))
    };
    Ok(concepts.iter().filter_map(drawn).collect())
}

/// Letters and digits of a name, in lower case.
fn letters(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
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

    #[test]
    fn icons_without_characters_are_found_by_name() {
        let concept = |name: &str| Concept {
            code: String::new(),
            emoji: String::new(),
            name: name.to_owned(),
            keywords: Vec::new(),
            group: String::new(),
            subgroup: String::new(),
        };
        let names = [("1f39f", "admission tickets"), ("1f170", "a button (blood type)"), ("1f4a9", "pile")];
        let concepts = names.map(|(code, name)| (code.to_owned(), concept(name))).into();
        let icons = br#"{"icons":{"admissiontickets":{"body":"<a/>"},"a-button-blood-type":{"body":"<b/>"},
            "piles":{"body":"<c/>"}},"width":32,"height":32}"#;
        let drawings = parse_named(icons, &concepts).unwrap();
        assert_eq!(drawings.keys().collect::<Vec<_>>(), ["1f170", "1f39f"]);
        assert!(drawings["1f170"].contains("<b/>"));
    }
}
