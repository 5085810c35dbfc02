//! Prompts from JSON.
//!
//! A list of parts, `[{"image": "cat.png"}, {"text": "A cat."}, {"eoc": true}, {"video": "clip.gif"}]`, or tokens,
//! `{"token_ids": [1, 2], "images": ["cat.png"]}`. A picture is a path (first looked for beside the prompt's file), a
//! `data:` URL, or a `.safetensors` file of pixels.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{Medium, Part, Prompt, Source};
use crate::error::FlamingoError;

/// As it stands in the file.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a list of parts, or an object with token_ids and images")]
enum Raw {
    Parts(Vec<serde_json::Value>),
    Tokens(RawTokens),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTokens {
    token_ids: Vec<u32>,
    #[serde(default)]
    images: Vec<String>,
}

/// One key each.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawPart {
    Text(String),
    Image(String),
    Video(String),
    Eoc(bool),
}

impl Prompt {
    /// Reads a prompt's file.
    ///
    /// # Errors
    ///
    /// [`FlamingoError::PromptFile`], which says what is wrong with which part.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FlamingoError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| broken(path, format!("cannot read: {error}")))?;
        Self::parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(|what| broken(path, what))
    }

    /// Reads a prompt from JSON; paths are looked for below `folder` first.
    ///
    /// # Errors
    ///
    /// As [`Prompt::open`].
    pub fn from_json(json: &str, folder: &Path) -> Result<Self, FlamingoError> {
        Self::parse(json, folder).map_err(|what| FlamingoError::Prompt { what })
    }

    fn parse(json: &str, folder: &Path) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_str(json).map_err(|error| format!("this is no JSON: {error}"))?;
        let is_tokens = value.is_object();
        match Raw::deserialize(&value) {
            Ok(Raw::Parts(parts)) => {
                let read = |(index, part): (usize, &serde_json::Value)| {
                    part_of(part, folder).map_err(|what| format!("part {}: {what}", index + 1))
                };
                parts.iter().enumerate().map(read).collect::<Result<Vec<Part>, String>>().map(Self::Parts)
            }
            Ok(Raw::Tokens(RawTokens { token_ids, images })) => {
                let media = images.iter().map(|image| Ok(Medium::Image(source(image, folder)?)));
                Ok(Self::Tokens { ids: token_ids, media: media.collect::<Result<_, String>>()? })
            }
            // An untagged enum forgets why; its one object form says it better.
            Err(error) => Err(match RawTokens::deserialize(&value) {
                Err(reason) if is_tokens => reason.to_string(),
                _ => error.to_string(),
            }),
        }
    }
}

fn part_of(part: &serde_json::Value, folder: &Path) -> Result<Part, String> {
    let expected = r#"expected one of {"text": …}, {"image": …}, {"video": …}, {"eoc": true}"#;
    match RawPart::deserialize(part).map_err(|error| format!("{error}; {expected}"))? {
        RawPart::Text(text) => Ok(Part::Text(text)),
        RawPart::Image(image) => Ok(Part::Medium(Medium::Image(source(&image, folder)?))),
        RawPart::Video(video) => Ok(Part::Medium(Medium::Video(source(&video, folder)?))),
        RawPart::Eoc(true) => Ok(Part::EndOfChunk),
        RawPart::Eoc(false) => Err(format!("\"eoc\": false means nothing; {expected}")),
    }
}

fn source(text: &str, folder: &Path) -> Result<Source, String> {
    if text.starts_with("data:") {
        return Source::from_data_url(text).map_err(|error| error.to_string());
    }
    let beside = folder.join(text);
    Ok(Source::File(if beside.exists() { beside } else { text.into() }))
}

fn broken(path: &Path, what: String) -> FlamingoError {
    FlamingoError::PromptFile { path: path.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Prompt, String> {
        Prompt::parse(json, Path::new("nowhere"))
    }

    #[test]
    fn parts_are_read_in_order() {
        let prompt = parse(r#"[{"text": "a "}, {"image": "cat.png"}, {"eoc": true}, {"video": "x.gif"}]"#);
        let Ok(Prompt::Parts(parts)) = &prompt else { panic!("{prompt:?}") };
        assert!(matches!(
            &parts[..],
            [
                Part::Text(text),
                Part::Medium(Medium::Image(Source::File(path))),
                Part::EndOfChunk,
                Part::Medium(Medium::Video(_))
            ] if text == "a " && path == Path::new("cat.png")
        ));
    }

    #[test]
    fn tokens_are_taken_as_they_are() {
        let prompt = parse(r#"{"token_ids": [1, 9], "images": ["data:image/png;base64,AAEC"]}"#).unwrap();
        let Prompt::Tokens { ids, media } = &prompt else { panic!("{prompt:?}") };
        assert_eq!(ids, &[1, 9]);
        assert!(matches!(&media[..], [Medium::Image(Source::Bytes(bytes))] if bytes[..] == [0, 1, 2]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (json, expected) in [
            ("{", "no JSON"),
            (r#"[{"text": "a"}, {"imag": "b"}]"#, "part 2: unknown variant `imag`"),
            (r#"[{"eoc": false}]"#, "part 1"),
            (r#"[{"text": "a", "image": "b"}]"#, "part 1"),
            (r#"{"token_ids": [1], "image": ["a"]}"#, "unknown field `image`"),
            (r#"{"token_ids": [-1]}"#, "-1"),
            ("3", "expected a list"),
            (r#"[{"image": "data:image/png,abc"}]"#, "base64"),
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
        let error = Prompt::open("nowhere/prompt.json").unwrap_err().to_string();
        assert!(error.contains("prompt.json"), "{error}");
    }
}
