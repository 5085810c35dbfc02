//! `photos`: photographs out of the learning games of GCompris, each with a title. For evaluation only.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::json;

use crate::corpus::Corpus;
use crate::package::{Archive, Package, Registry};
use crate::rcc;
use crate::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    version: 1,
    packages: &[Package {
        registry: Registry::Debian,
        name: "gcompris-qt-data",
        version: "3.1-2",
        sha256: "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
        licence: "GPL-3.0-or-later",
    }],
    build,
};

const FOLDER: &str = "usr/share/gcompris-qt/rcc/";
/// Games whose boards give titles.
const EXPLORE: [&str; 4] =
    ["explore_farm_animals", "explore_monuments", "explore_world_animals", "explore_world_music"];
/// A game whose photographs are named by their files.
const CATEGORIES: &str = "categorization";

/// Titles that are better than their files' names, as one sees who looks at the photographs.
const TITLES: [(&str, &str); 24] = [
    ("alphabets", "alphabet blocks"),
    ("arcDeTriomphe", "Arc de Triomphe"),
    ("blackslate", "blackboard"),
    ("buffetset", "cup and saucer"),
    ("bulb", "light bulb"),
    ("burj", "Burj Khalifa"),
    ("christTheRedeemer", "Christ the Redeemer"),
    ("empireState", "Empire State Building"),
    ("geothermal", "geothermal power station"),
    ("greatPyramid", "Great Pyramid"),
    ("greatWall", "Great Wall of China"),
    ("knife", "fork, knife and spoon"),
    ("kutubMinar", "Qutub Minar"),
    ("leMusee", "Louvre"),
    ("numbers", "number blocks"),
    ("operaHouse", "Sydney Opera House"),
    ("plier", "pliers"),
    ("screwDriver", "screwdriver"),
    ("solar1", "solar cooker"),
    ("solar2", "solar cooker"),
    ("solar3", "solar cooker"),
    ("solar", "solar panels"),
    ("spray", "spray bottle"),
    ("tweezer", "tweezers"),
];

fn build(archives: &[Archive]) -> anyhow::Result<Corpus> {
    let [archive] = archives else { anyhow::bail!("one package was expected") };
    let games = archive.files(|path| path.starts_with(FOLDER) && path.ends_with(".rcc"))?;
    let mut corpus = Corpus::default();
    for game in EXPLORE.into_iter().chain([CATEGORIES]) {
        let path = format!("{FOLDER}{game}.rcc");
        let files = rcc::files(games.get(&path).with_context(|| format!("the package lacks {path}"))?)
            .with_context(|| path)?;
        add_game(&mut corpus, game, files)?;
    }
    Ok(corpus)
}

fn add_game(corpus: &mut Corpus, game: &str, files: BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    let text = |end: &str| {
        let matching = files.iter().filter(|(path, _)| path.ends_with(end));
        matching.map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect::<Vec<_>>().join("\n")
    };
    let titles = board_titles(&text(".qml"));
    let rights = rights(&text("README"));
    for (path, photo) in
        files.iter().filter(|(path, _)| path.ends_with(".webp") && path.contains("/resource/"))
    {
        let file = path.rsplit('/').next().unwrap_or(path);
        let title = match titles.get(file) {
            Some((title, text)) => Some((title.clone(), text.clone())),
            None if game == CATEGORIES => Some((file_title(file), String::new())),
            None => None,
        };
        let Some((title, text)) = title else {
            corpus.drop("no title");
            continue;
        };
        // A photograph of musicians is titled by where they play.
        let caption = if game == "explore_world_music" { format!("music of {title}") } else { title };
        let (author, licence) = rights.get(file).cloned().unwrap_or_default();
        let description = json!({
            "captions": [caption], "description": text, "file": path, "group": game,
            "author": author, "licence": licence,
        });
        let key = format!("{game}-{}", file.trim_end_matches(".webp"));
        corpus.push("evaluation", &key, game, ("webp", photo.clone()), description)?;
    }
    Ok(())
}

/// Title and text by the file of `image2`, out of boards such as
/// `"title": qsTr("Jaguar"), "text": qsTr("…"), "image2": "qrc:/…/jaguar.webp"`.
fn board_titles(qml: &str) -> BTreeMap<String, (String, String)> {
    let mut titles = BTreeMap::new();
    let (mut title, mut text) = (String::new(), String::new());
    for line in qml.lines() {
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        let Some(value) = quoted(value) else { continue };
        match key.trim() {
            "\"title\"" => title = value,
            "\"text\"" => text = value,
            "\"image2\"" if !title.is_empty() => {
                let file = value.rsplit('/').next().unwrap_or_default().to_owned();
                titles.insert(file, (std::mem::take(&mut title), std::mem::take(&mut text)));
            }
            _ => {}
        }
    }
    titles
}

/// The first text in quotes.
fn quoted(value: &str) -> Option<String> {
    let start = value.find('"')? + 1;
    let mut text = String::new();
    let mut characters = value[start..].chars();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => text.push(characters.next()?),
            other => text.push(other),
        }
    }
}

/// Author and licence by file, out of blocks such as `Copyright: …`, `License: …`, `Files:` and a name a line.
fn rights(readme: &str) -> BTreeMap<String, (String, String)> {
    let mut rights = BTreeMap::new();
    let (mut author, mut licence) = (String::new(), String::new());
    for line in readme.lines().map(str::trim) {
        match line.split_once(':') {
            Some(("Copyright", name)) => author = name.trim().to_owned(),
            Some(("License" | "Licence", name)) => licence = name.trim().to_owned(),
            _ if line.ends_with(".webp") => {
                let file = line.trim_start_matches("Files:").trim().to_owned();
                rights.insert(file, (author.clone(), licence.clone()));
            }
            _ => {}
        }
    }
    rights
}

/// `measuringTape3.webp` as `measuring tape`, unless [`TITLES`] knows better.
fn file_title(file: &str) -> String {
    let stem = file.trim_end_matches(".webp");
    let plain = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let known = |name: &str| TITLES.iter().find(|(known, _)| *known == name);
    if let Some((_, title)) = known(stem).or_else(|| known(plain)) {
        return (*title).to_owned();
    }
    let mut title = String::new();
    for c in plain.chars() {
        if c.is_uppercase() && !title.is_empty() {
            title.push(' ');
        }
        title.extend(c.to_lowercase());
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_become_titles() {
        for (file, title) in [
            ("measuringTape3.webp", "measuring tape"),
            ("solar2.webp", "solar cooker"),
            ("solar7.webp", "solar panels"),
            ("fish12.webp", "fish"),
            ("IndiaGate.webp", "india gate"),
        ] {
            assert_eq!(file_title(file), title);
        }
    }

    #[test]
    fn boards_give_titles_and_readmes_give_rights() {
        let qml = r#"
            "image": "qrc:/x/question.svg",
            "title": qsTr("Jaguar"),
            "text": qsTr("Its \"jaw\" is strong."),
            "image2": "qrc:/gcompris/jaguar.webp",
            "image2": "qrc:/gcompris/untitled.webp","#;
        let titles = board_titles(qml);
        assert_eq!(titles["jaguar.webp"], ("Jaguar".to_owned(), "Its \"jaw\" is strong.".to_owned()));
        assert_eq!(titles.len(), 1);
        let rights =
            rights("Copyright: A. Person\nLicense: CC0-1.0\nSource: https://x\nFiles:\njaguar.webp\n");
        assert_eq!(rights["jaguar.webp"], ("A. Person".to_owned(), "CC0-1.0".to_owned()));
    }
}
