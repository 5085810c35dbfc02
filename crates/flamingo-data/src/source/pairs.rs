//! Image-text and video-text pairs in WebDataset shards: a record with a picture or clip, and its captions.
//!
//! ```text
//! 000001.jpg  000001.txt                       one caption
//! 000002.mp4  000002.json {"captions": [...]}  several: training draws one
//! ```
//!
//! So do `img2dataset` and `video2dataset` write them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sharded::Sharded;
use super::{Format, Source, SourceSpec};
use crate::DataError;
use crate::reject::{Reason, Reject};
use crate::sample::{Content, Medium, Sample};
use crate::store::Store;
use crate::video::Interval;
use crate::webdataset::{Limits, Record};

/// The format `pairs`.
pub const FORMAT: Format = Format {
    name: "pairs",
    summary: "WebDataset shards of images or clips with captions (.txt or .json beside each)",
    open,
};

/// Extensions of clips. An animated GIF, WebP or PNG is one too, if [`Options::animated`].
const CLIPS: [&str; 6] = ["mp4", "webm", "mkv", "mov", "avi", "m4v"];
const ANIMATIONS: [&str; 3] = ["gif", "webp", "png"];

/// Options of the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where captions are looked for: fields of the record, then keys of its `json`. The first name that is there
    /// counts; a list of texts is several captions.
    pub captions: Vec<String>,
    /// Extensions of pictures and clips; the first that is there counts.
    pub media: Vec<String>,
    /// Whether GIF, WebP and PNG files are clips.
    pub animated: bool,
    /// The most bytes of one field.
    pub max_field_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let pictures = ["jpg", "jpeg", "png", "webp", "gif"];
        Self {
            captions: names(&["txt", "caption", "captions", "text"]),
            media: names(&[&CLIPS[..], &pictures[..]].concat()),
            animated: false,
            max_field_bytes: Limits::default().field,
        }
    }
}

fn open(spec: &SourceSpec, store: &Store) -> Result<Box<dyn Source>, DataError> {
    let mut options: Options = spec.options()?;
    for (name, list) in [("captions", &options.captions), ("media", &options.media)] {
        if list.is_empty() {
            return Err(spec.bad_option(format!("`{name}` must name at least one field")));
        }
    }
    // Fields of records are in lower case.
    for extension in &mut options.media {
        *extension = extension.trim_start_matches('.').to_lowercase();
    }
    let field = options.max_field_bytes;
    let limits = Limits { field, record: field.max(Limits::default().record), ..Limits::default() };
    Sharded::open(spec, store, options, limits, pair)
}

/// A record as a pair.
fn pair(mut record: Record, options: &Options) -> Result<Sample, Reject> {
    let captions = captions(&record, &options.captions)?;
    let Some(extension) = options.media.iter().find(|name| record.fields.contains_key(*name)) else {
        let what = format!("has no picture or clip; expected one of {}", options.media.join(", "));
        return Err(record.reject(Reason::Missing, format!("{what}, but has {}", names(&record.fields))));
    };
    let bytes = record.fields.remove(extension).unwrap_or_default();
    let kind = Path::new(extension).extension().and_then(|kind| kind.to_str()).unwrap_or(extension);
    let is_clip = CLIPS.contains(&kind) || (options.animated && ANIMATIONS.contains(&kind));
    let medium = if is_clip { Medium::Video(bytes, Interval::WHOLE) } else { Medium::Image(bytes) };
    Ok(Sample::new(record.key, Content::Pair(captions), vec![medium]))
}

/// The captions of a record; at least one, none of them empty.
fn captions(record: &Record, wanted: &[String]) -> Result<Vec<String>, Reject> {
    let json = match record.fields.get("json") {
        Some(bytes) => serde_json::from_slice(bytes).map_err(|error| {
            record.reject(Reason::BadDescription, format!("field \"json\" is not JSON: {error}"))
        })?,
        None => Value::Null,
    };
    for name in wanted {
        let field = record.fields.get(name.as_str()).filter(|_| name != "json");
        let texts = match field {
            Some(bytes) => vec![text(record, name, bytes)?],
            None => match json.get(name) {
                None | Some(Value::Null) => continue,
                Some(value) => texts(value).ok_or_else(|| {
                    let what = format!("key {name:?} of field \"json\" must be a text or a list of texts");
                    record.reject(Reason::BadDescription, what)
                })?,
            },
        };
        let texts: Vec<String> =
            texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).map(str::to_owned).collect();
        return match texts.is_empty() {
            true => Err(record.reject(Reason::Empty, format!("caption {name:?} is empty"))),
            false => Ok(texts),
        };
    }
    let what = format!("has no caption; expected one of {}, as a field or in its json", wanted.join(", "));
    Err(record.reject(Reason::Missing, format!("{what}, but has {}", names(&record.fields))))
}

/// A field as text.
fn text(record: &Record, name: &str, bytes: &[u8]) -> Result<String, Reject> {
    crate::text::decode(bytes, None)
        .map_err(|what| record.reject(Reason::BadText, format!("field {name:?}: {what}")))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn names(fields: &BTreeMap<String, Vec<u8>>) -> String {
    fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::write_shard;
    use crate::source::Unread;

    /// What a source of one shard gives: `key: content`, or `key: reason`.
    fn read(files: &[(&str, &[u8])], options: Value) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let shard = write_shard(folder.path(), "s.tar.gz", files);
        let Value::Object(options) = options else { panic!("options are an object") };
        let spec = SourceSpec {
            name: "test".to_owned(),
            format: "pairs".to_owned(),
            paths: vec![shard.display().to_string()],
            options,
        };
        let source = spec.open(&Store::default()).unwrap();
        let line = |unread: Result<Unread, Reject>| match unread.and_then(Unread::read) {
            Ok(sample) => {
                let Content::Pair(texts) = &sample.content else { panic!("a pair") };
                let kind = if matches!(sample.media[0], Medium::Video(..)) { "clip" } else { "picture" };
                format!("{}: {kind} {}: {}", sample.key, sample.media[0].len(), texts.join("|"))
            }
            Err(reject) => format!("{}: {}", reject.record, reject.reason),
        };
        let all: Vec<_> = source.open(0, 0).unwrap().map(line).collect();
        for skip in 0..=all.len() {
            assert_eq!(source.open(0, skip).unwrap().map(line).collect::<Vec<_>>(), all[skip..]);
        }
        all
    }

    #[test]
    fn pictures_and_clips_find_their_captions() {
        let files: [(&str, &[u8]); 9] = [
            ("1.jpg", b"abc"),
            ("1.txt", "\u{feff} a cow \n".as_bytes()),
            ("2.json", br#"{"captions": ["a pig", " ", "two pigs"], "caption": null}"#),
            ("2.mp4", b"12"),
            ("3.gif", b"1"),
            ("3.json", br#"{"text": "moves"}"#),
            ("4.JPEG", b"1234"),
            ("4.json", br#"{"caption": "in json"}"#),
            ("4.txt", b"in text"),
        ];
        let expected = [
            "1: picture 3: a cow",
            "2: clip 2: a pig|two pigs",
            "3: picture 1: moves",
            "4: picture 4: in text",
        ];
        assert_eq!(read(&files, json!({})), expected);
        let options = json!({"captions": ["caption", "text", "captions", "txt"], "animated": true});
        let expected =
            ["1: picture 3: a cow", "2: clip 2: a pig|two pigs", "3: clip 1: moves", "4: picture 4: in json"];
        assert_eq!(read(&files, options), expected);
    }

    #[test]
    fn bad_pairs_are_rejected_one_by_one() {
        let files: [(&str, &[u8]); 12] = [
            ("a.txt", b"no picture"),
            ("b.jpg", b"no caption"),
            ("c.jpg", b""),
            ("c.txt", b"  "),
            ("d.jpg", b""),
            ("d.txt", b"\0\xff"),
            ("e.jpg", b""),
            ("e.json", b"{"),
            ("f.jpg", b""),
            ("f.json", br#"{"caption": 7}"#),
            ("h.jpg", b""),
            ("h.txt", b"good"),
        ];
        let expected = [
            "a: missing",
            "b: missing",
            "c: empty",
            "d: bad-text",
            "e: bad-description",
            "f: bad-description",
            "h: picture 0: good",
        ];
        assert_eq!(read(&files, json!({})), expected);
        assert_eq!(
            read(&[("a.jpg", b"12345"), ("a.txt", b"x")], json!({"max_field_bytes": 4})),
            ["a: too-large"]
        );
    }

    #[test]
    fn media_are_chosen_by_name() {
        let files: [(&str, &[u8]); 3] = [("a.left.jpg", b"1"), ("a.right.jpg", b"22"), ("a.txt", b"both")];
        assert_eq!(read(&files, json!({})), ["a: missing"]);
        assert_eq!(read(&files, json!({"media": ["right.JPG"]})), ["a: picture 2: both"]);
    }

    #[test]
    fn options_are_checked() {
        for (options, expected) in
            [(json!({"caption": "x"}), "did you mean \"captions\""), (json!({"media": []}), "at least one")]
        {
            let Value::Object(options) = options else { panic!("options are an object") };
            let format = "pairs".to_owned();
            let spec = SourceSpec { name: "web".to_owned(), format, paths: Vec::new(), options };
            let error = spec.open(&Store::default()).err().unwrap().to_string();
            assert!(error.contains("web") && error.contains(expected), "{error}");
        }
    }
}
