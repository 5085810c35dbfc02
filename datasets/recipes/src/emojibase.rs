//! Names, keywords and groups of emoji, from `emojibase-data`.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use crate::package::{Package, Registry};

/// Emojibase.
pub const PACKAGE: Package = Package {
    registry: Registry::Npm,
    name: "emojibase-data",
    version: "17.0.0",
    sha256: "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    licence: "MIT",
};

/// Something that can be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concept {
    /// Code points in hexadecimal, joined by `-`.
    pub code: String,
    /// The character itself.
    pub emoji: String,
    /// English name, in lower case.
    pub name: String,
    /// English keywords.
    pub keywords: Vec<String>,
    /// Such as "animals & nature".
    pub group: String,
    /// Such as "mammals".
    pub subgroup: String,
}

/// Skin tones and hair: parts, not things.
const COMPONENTS: u32 = 2;

/// All concepts by their normalised code (see [`normalise`]); skin tones are not concepts of their own.
///
/// # Errors
///
/// If the package cannot be had or is not what it should be.
pub fn concepts() -> anyhow::Result<BTreeMap<String, Concept>> {
    let files = PACKAGE.files(&["en/data.json", "en/messages.json", "meta/groups.json"])?;
    let file = |name: &str| files.get(name).with_context(|| format!("{} has no {name}", PACKAGE.name));
    parse(file("en/data.json")?, file("en/messages.json")?, file("meta/groups.json")?)
}

/// The skin tones of concepts by their own normalised code: the normalised code of the concept, and the full English name
/// in lower case.
///
/// # Errors
///
/// As [`concepts`].
pub fn skin_tones() -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let files = PACKAGE.files(&["en/data.json"])?;
    parse_skin_tones(
        files.get("en/data.json").with_context(|| format!("{} has no en/data.json", PACKAGE.name))?,
    )
}

fn parse_skin_tones(data: &[u8]) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    #[derive(Deserialize)]
    struct Entry {
        hexcode: String,
        #[serde(default)]
        skins: Vec<Skin>,
    }
    #[derive(Deserialize)]
    struct Skin {
        label: String,
        hexcode: String,
    }
    let entries: Vec<Entry> = serde_json::from_slice(data).context("en/data.json")?;
    let tones = entries.iter().flat_map(|entry| {
        let name = |skin: &Skin| (normalise(&entry.hexcode), skin.label.to_lowercase());
        entry.skins.iter().map(move |skin| (normalise(&skin.hexcode), name(skin)))
    });
    Ok(tones.collect())
}

/// Lower case, and without the variation selector that packages put in or leave out.
pub fn normalise(code: &str) -> String {
    code.to_lowercase().split('-').filter(|part| *part != "fe0f").collect::<Vec<_>>().join("-")
}

fn parse(data: &[u8], messages: &[u8], keys: &[u8]) -> anyhow::Result<BTreeMap<String, Concept>> {
    #[derive(Deserialize)]
    struct Entry {
        label: String,
        hexcode: String,
        emoji: String,
        #[serde(default)]
        tags: Vec<String>,
        group: Option<u32>,
        subgroup: Option<u32>,
    }
    #[derive(Deserialize)]
    struct Messages {
        groups: Vec<Message>,
        subgroups: Vec<Message>,
    }
    #[derive(Deserialize)]
    struct Message {
        key: String,
        message: String,
    }
    /// Keys by number. The messages have numbers too, but two of them share one.
    #[derive(Deserialize)]
    struct Keys {
        groups: BTreeMap<u32, String>,
        subgroups: BTreeMap<u32, String>,
    }
    let entries: Vec<Entry> = serde_json::from_slice(data).context("en/data.json")?;
    let messages: Messages = serde_json::from_slice(messages).context("en/messages.json")?;
    let keys: Keys = serde_json::from_slice(keys).context("meta/groups.json")?;
    let name_of = |list: &[Message], keys: &BTreeMap<u32, String>, number: u32| {
        let key = keys.get(&number).with_context(|| format!("no group of number {number}"))?;
        let message = list.iter().find(|message| message.key == *key);
        message.map(|message| message.message.clone()).with_context(|| format!("no name of group {key}"))
    };
    let mut concepts = BTreeMap::new();
    for entry in entries {
        let (Some(group), Some(subgroup)) = (entry.group, entry.subgroup) else { continue };
        if group == COMPONENTS {
            continue;
        }
        let concept = Concept {
            code: entry.hexcode.clone(),
            emoji: entry.emoji,
            name: entry.label.to_lowercase(),
            keywords: entry.tags.into_iter().map(|tag| tag.to_lowercase()).collect(),
            group: name_of(&messages.groups, &keys.groups, group)?,
            subgroup: name_of(&messages.subgroups, &keys.subgroups, subgroup)?,
        };
        concepts.insert(normalise(&entry.hexcode), concept);
    }
    Ok(concepts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_and_ungrouped_characters_are_left_out() {
        let data = br#"[
            {"label":"Cow Face","hexcode":"1F42E","emoji":"x","tags":["Moo"],"group":3,"subgroup":5},
            {"label":"light skin tone","hexcode":"1F3FB","emoji":"x","group":2,"subgroup":5},
            {"label":"regional indicator A","hexcode":"1F1E6","emoji":"x"}
        ]"#;
        let messages =
            br#"{"groups":[{"message":"animals","key":"a"}],"subgroups":[{"message":"mammals","key":"m"}]}"#;
        let keys = br#"{"groups":{"3":"a"},"subgroups":{"5":"m"}}"#;
        let concepts = parse(data, messages, keys).unwrap();
        let cow = &concepts["1f42e"];
        assert_eq!((concepts.len(), cow.name.as_str(), cow.keywords[0].as_str()), (1, "cow face", "moo"));
        assert_eq!((cow.group.as_str(), cow.subgroup.as_str()), ("animals", "mammals"));
    }

    #[test]
    fn skin_tones_belong_to_their_concept() {
        let data = br#"[{"label":"Waving Hand","hexcode":"1F44B","emoji":"x","group":1,"subgroup":1,
            "skins":[{"label":"Waving Hand: Dark","hexcode":"1F44B-1F3FF"}]}, {"label":"x","hexcode":"1F4A9"}]"#;
        let tones = parse_skin_tones(data).unwrap();
        assert_eq!(tones["1f44b-1f3ff"], ("1f44b".to_owned(), "waving hand: dark".to_owned()));
        assert_eq!(tones.len(), 1);
    }

    #[test]
    fn codes_are_compared_without_variation_selectors() {
        assert_eq!(normalise("2764-FE0F-200D-1F525"), "2764-200d-1f525");
    }
}
