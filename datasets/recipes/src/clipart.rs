//! `clipart`: drawings of the Open Clip Art Library, with titles and keywords.

use std::collections::BTreeMap;

use rayon::prelude::*;
use resvg::usvg::roxmltree::{Document, Node, ParsingOptions};
use serde_json::Map;

use crate::corpus::Corpus;
use crate::package::{Archive, Package, Registry};
use crate::pairs::{self, Pair};
use crate::picture;
use crate::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    version: 1,
    packages: &[Package {
        registry: Registry::Debian,
        name: "openclipart-svg",
        version: "1:0.18+dfsg-19",
        sha256: "989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
        licence: "CC-PDDC",
    }],
    build,
};

const SEED: &str = "flamingo clipart 1";
const FOLDER: &str = "usr/share/openclipart/svg/";
/// A title that more drawings have is that of a collection, or was copied with the drawing.
const MOST_OF_A_TITLE: usize = 2;
const DUBLIN_CORE: &str = "http://purl.org/dc/elements/1.1/";
/// Titles that say nothing.
const EMPTY_TITLES: [&str; 10] = [
    "untitled",
    "unnamed",
    "no title",
    "title",
    "new document",
    "drawing",
    "image",
    "picture",
    "clipart",
    "clip art",
];

fn build(archives: &[Archive]) -> anyhow::Result<Corpus> {
    let [archive] = archives else { anyhow::bail!("one package was expected") };
    let files = archive.files(|path| path.starts_with(FOLDER) && path.ends_with(".svg"))?;
    let described: Vec<(&str, &Vec<u8>, Option<Description>)> =
        files.par_iter().map(|(path, svg)| (&path[FOLDER.len()..], svg, describe(svg))).collect();

    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for description in described.iter().filter_map(|(_, _, description)| description.as_ref()) {
        *uses.entry(&description.raw_title).or_default() += 1;
    }
    let mut corpus = Corpus::default();
    let mut wanted = Vec::new();
    for (path, svg, description) in &described {
        match description {
            None => corpus.drop("no valid description"),
            Some(it) if it.title.is_empty() => corpus.drop("no title"),
            Some(it) if uses[it.raw_title.as_str()] > MOST_OF_A_TITLE => corpus.drop("title of a collection"),
            Some(it) => wanted.push((*path, *svg, it)),
        }
    }
    let pairs: Vec<Option<Pair>> = wanted
        .par_iter()
        .map(|(path, svg, description)| {
            let png = picture::draw(svg).and_then(|picture| picture::png(&picture)).ok()?;
            Some(Pair {
                path: path.trim_end_matches(".svg").to_owned(),
                group: path.split('/').next().unwrap_or_default().to_owned(),
                png,
                title: description.title.clone(),
                keywords: description.keywords.clone(),
                more: Map::new(),
            })
        })
        .collect();
    let drawn: Vec<Pair> = pairs.iter().flatten().cloned().collect();
    for _ in drawn.len()..pairs.len() {
        corpus.drop("shows nothing or is broken");
    }
    pairs::add(&mut corpus, SEED, drawn)?;
    Ok(corpus)
}

#[derive(Debug, PartialEq, Eq)]
struct Description {
    raw_title: String,
    title: String,
    keywords: Vec<String>,
}

/// The metadata of a drawing, if it is XML.
fn describe(svg: &[u8]) -> Option<Description> {
    let text = String::from_utf8_lossy(svg);
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).ok()?;
    let work = document.descendants().find(|node| node.tag_name().name() == "Work");
    let own = |name: &'static str| {
        // Publisher and author have a title too, further down.
        let children = work.into_iter().flat_map(|work| work.children());
        children.into_iter().find(move |node| node.has_tag_name((DUBLIN_CORE, name)))
    };
    let raw_title = own("title").map(text_of).unwrap_or_default();
    let subjects = own("subject").into_iter().flat_map(|subject| subject.descendants());
    let items = subjects.filter(|node| node.tag_name().name() == "li").map(text_of);
    let title = title(&raw_title);
    let people = document.descendants().filter(|node| node.tag_name().name() == "Agent");
    let authors: Vec<String> = people
        .flat_map(|agent| agent.children().filter(|node| node.tag_name().name() == "title"))
        .map(|node| text_of(node).to_lowercase())
        .collect();
    let mut keywords: Vec<String> = Vec::new();
    for keyword in items.filter_map(|item| keyword(&item)) {
        let author = keyword.starts_with("architetto") || authors.contains(&keyword);
        if !author && keyword != title.to_lowercase() && !keywords.contains(&keyword) {
            keywords.push(keyword);
        }
    }
    Some(Description { raw_title, title, keywords })
}

fn text_of(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().to_owned()
}

/// A title without the author in front, file endings, underscores and numbers at the end; empty if nothing is left.
fn title(raw: &str) -> String {
    let raw =
        raw.strip_prefix("Clipart by").and_then(|rest| rest.split_once(" - ")).map_or(raw, |(_, rest)| rest);
    let raw = raw.trim_end_matches(".svg").replace('_', " ");
    let mut words: Vec<&str> = raw.split_whitespace().collect();
    while words.last().is_some_and(|word| !word.chars().any(char::is_alphabetic)) {
        words.pop();
    }
    let title = words.join(" ").trim_end_matches(|c: char| c.is_ascii_digit()).trim_end().to_owned();
    let says_something = title.chars().filter(|c| c.is_alphabetic()).count() > 1
        && !EMPTY_TITLES.contains(&title.to_lowercase().as_str());
    if says_something { title } else { String::new() }
}

/// A keyword in lower case; none if it is a trace of the program that collected them (`HASH(0x8b754fc)`), or a number.
fn keyword(raw: &str) -> Option<String> {
    let keyword = raw.trim().to_lowercase().replace('_', " ");
    let trace = keyword.contains("0x") || keyword.starts_with("hash") || keyword == "unsorted";
    let letters = keyword.chars().filter(|c| c.is_alphabetic()).count();
    (!trace && letters > 1).then_some(keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_cleaned() {
        for (raw, clean) in [
            ("Clipart by Nicu Buculei - jigsaw_red_10", "jigsaw red"),
            ("Bored dog", "Bored dog"),
            ("libyan_arab_jamahiriya", "libyan arab jamahiriya"),
            ("tux2.svg", "tux"),
            ("untitled", ""),
            ("Drawing 3", ""),
            ("42", ""),
            ("", ""),
        ] {
            assert_eq!(title(raw), clean, "{raw}");
        }
    }

    #[test]
    fn a_drawing_is_described_by_its_own_metadata() {
        let svg = br#"<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "y"><svg xmlns="http://www.w3.org/2000/svg"><metadata>
            <rdf:RDF xmlns:cc="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/"
              xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><cc:Work>
              <dc:publisher><cc:Agent><dc:title>Somebody</dc:title></cc:Agent></dc:publisher>
              <dc:title>bored_dog_01</dc:title>
              <dc:subject><rdf:Bag><rdf:li>HASH(0x1)</rdf:li><rdf:li>Mammal</rdf:li><rdf:li>somebody</rdf:li><rdf:li/><rdf:li>bored dog</rdf:li>
              </rdf:Bag></dc:subject></cc:Work></rdf:RDF></metadata></svg>"#;
        let description = describe(svg).unwrap();
        assert_eq!(
            (description.title.as_str(), description.keywords),
            ("bored dog", vec!["mammal".to_owned()])
        );
        assert_eq!(describe(b"<svg/>").unwrap().title, "");
        assert!(describe(b"<svg").is_none());
    }
}
