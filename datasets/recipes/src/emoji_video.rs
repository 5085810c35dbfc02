//! `emoji-video`: animated emoji, named as in `datasets/emoji`, and held out where they are held out there.

use std::collections::BTreeMap;

use serde_json::json;

use crate::corpus::Corpus;
use crate::emoji;
use crate::emojibase::{self, Concept, normalise};
use crate::package::{Archive, Package, Registry};
use crate::recipe::Recipe;
use crate::split::HeldOut;

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    version: 1,
    packages: &[
        Package {
            registry: Registry::Npm,
            name: "@lobehub/fluent-emoji-anim-1",
            version: "1.0.0",
            sha256: "4c03ac178c1eabf2e2a16dd498f3cc2b92dc30ec3466ae38fdc497d4774c99ea",
            licence: "MIT",
        },
        emojibase::PACKAGE,
    ],
    build,
};

const STYLE: &str = "fluent-animated";
const FOLDER: &str = "assets/";

fn build(archives: &[Archive]) -> anyhow::Result<Corpus> {
    let [clips, _] = archives else { anyhow::bail!("two packages were expected") };
    let clips = clips.files(|path| path.starts_with(FOLDER) && path.ends_with(".webp"))?;
    add(clips, &emojibase::concepts()?, &emojibase::skin_tones()?, &emoji::roles()?)
}

/// The concept of a clip and the clip's own name, which says the skin tone, if it has one.
fn named<'a>(
    code: &str,
    concepts: &'a BTreeMap<String, Concept>,
    tones: &'a BTreeMap<String, (String, String)>,
) -> Option<(&'a Concept, &'a str)> {
    let code = normalise(code);
    match (concepts.get(&code), tones.get(&code)) {
        (Some(concept), _) => Some((concept, &concept.name)),
        (None, Some((concept, name))) => Some((concepts.get(concept)?, name)),
        (None, None) => None,
    }
}

fn add(
    clips: BTreeMap<String, Vec<u8>>,
    concepts: &BTreeMap<String, Concept>,
    tones: &BTreeMap<String, (String, String)>,
    roles: &BTreeMap<String, HeldOut>,
) -> anyhow::Result<Corpus> {
    let is_held_out = |concept: &Concept| roles.get(&concept.code) == Some(&HeldOut::Concept);
    let secret: Vec<&str> =
        concepts.values().filter(|it| is_held_out(it)).map(|it| it.name.as_str()).collect();
    let mut corpus = Corpus::default();
    for (path, clip) in clips {
        let code = path[FOLDER.len()..].trim_end_matches(".webp");
        if !is_animated(&clip) {
            corpus.drop("not animated");
            continue;
        }
        let Some((concept, name)) = named(code, concepts, tones) else {
            corpus.drop("no name");
            continue;
        };
        let held_out = is_held_out(concept);
        if !held_out && secret.contains(&concept.name.as_str()) {
            corpus.drop("has the name of something held out");
            continue;
        }
        let part = if held_out { "heldout_concepts" } else { "train" };
        let mut keywords = concept.keywords.clone();
        keywords.retain(|it| *it != concept.name && (held_out || !secret.contains(&it.as_str())));
        let mut captions = vec![name.to_owned()];
        if !keywords.is_empty() {
            captions.push(format!("{name}: {}", keywords.join(", ")));
        }
        let description = json!({
            "concept": concept.code, "emoji": concept.emoji, "style": STYLE, "name": name,
            "keywords": keywords, "captions": captions, "group": concept.group, "subgroup": concept.subgroup,
        });
        let key = format!("{STYLE}-{}", code.to_uppercase());
        corpus.push(part, &key, &concept.group, ("webp", clip), description)?;
    }
    Ok(corpus)
}

/// Whether a WebP file says that it is an animation: the second bit of the flags of its `VP8X` chunk.
fn is_animated(webp: &[u8]) -> bool {
    webp.get(12..16) == Some(b"VP8X") && webp.get(20).is_some_and(|flags| flags & 2 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concept(code: &str, name: &str, keywords: &[&str]) -> (String, Concept) {
        let concept = Concept {
            code: code.to_owned(),
            emoji: "x".to_owned(),
            name: name.to_owned(),
            keywords: keywords.iter().map(|keyword| (*keyword).to_owned()).collect(),
            group: "g".to_owned(),
            subgroup: "s".to_owned(),
        };
        (normalise(code), concept)
    }

    #[test]
    fn what_the_emoji_hold_out_is_held_out_here_and_not_named_elsewhere() {
        let mut clip = b"RIFF....WEBPVP8X....".to_vec();
        clip.push(2);
        let still = b"RIFF....WEBPVP8L....\x02".to_vec();
        let clips = [
            ("1f42e", &clip),
            ("1f6a2", &clip),
            ("1f42e-1f3fb", &clip),
            ("1f47d-1f3fb", &clip),
            ("1f98a-fe0f", &clip),
            ("1f438", &still),
        ];
        let clips = clips.map(|(code, clip)| (format!("{FOLDER}{code}.webp"), clip.clone())).into();
        let concepts = [
            concept("1F42E", "cow", &["moo", "ship"]),
            concept("1F6A2", "ship", &["boat", "cow"]),
            concept("1F98A", "fox", &["fox"]),
            concept("1F438", "frog", &[]),
        ];
        let roles = BTreeMap::from([
            ("1F6A2".to_owned(), HeldOut::Concept),
            ("1F98A".to_owned(), HeldOut::Style("noto")),
        ]);
        let tones =
            BTreeMap::from([("1f42e-1f3fb".to_owned(), ("1f42e".to_owned(), "cow: light".to_owned()))]);
        let corpus = add(clips, &concepts.into(), &tones, &roles).unwrap();
        let parts: Vec<(&str, &str)> = corpus.records.iter().map(|it| (it.key.as_str(), it.part)).collect();
        assert_eq!(
            parts,
            [
                ("fluent-animated-1F42E-1F3FB", "train"),
                ("fluent-animated-1F42E", "train"),
                ("fluent-animated-1F6A2", "heldout_concepts"),
                ("fluent-animated-1F98A-FE0F", "train")
            ]
        );
        let cow: serde_json::Value = serde_json::from_slice(&corpus.records[1].fields[1].1).unwrap();
        assert_eq!(cow["captions"], json!(["cow", "cow: moo"]));
        let light: serde_json::Value = serde_json::from_slice(&corpus.records[0].fields[1].1).unwrap();
        assert_eq!((&light["concept"], &light["captions"][1]), (&json!("1F42E"), &json!("cow: light: moo")));
        assert_eq!(corpus.dropped.len(), 2);
    }
}
