//! What a source gives, in a form that tests can compare.

use std::path::Path;

use flamingo_core::TextTie;
use serde_json::Value;

use super::{SourceSpec, Unread};
use crate::document::Chunk;
use crate::reject::Reject;
use crate::sample::{Content, Medium, Sample};
use crate::store::Store;
use crate::video::Interval;

/// A source of one shard.
pub fn spec(format: &str, path: &Path, options: Value) -> SourceSpec {
    let Value::Object(options) = options else { panic!("options are an object") };
    let paths = vec![path.display().to_string()];
    SourceSpec { name: "test".to_owned(), format: format.to_owned(), paths, options }
}

/// The records of the first shard, one line each: `key: content`, an image as `[bytes]`, a clip as `{bytes or name}` (a part of one
/// as `{…@from-to}`),
/// what was lost as `(reason)`; or `key: reason`. Any start is tried as well.
pub fn outcomes(spec: &SourceSpec) -> Vec<String> {
    let source = spec.open(&Store::default()).unwrap();
    if let Err(reject) = source.open(0, 0) {
        return vec![line(Err(reject))];
    }
    let read = |skip| source.open(0, skip).unwrap().map(line).collect::<Vec<_>>();
    let all = read(0);
    for skip in 1..=all.len() {
        assert_eq!(read(skip), all[skip..], "from record {skip} on");
    }
    all
}

fn line(unread: Result<Unread, Reject>) -> String {
    match unread.and_then(Unread::read) {
        Ok(sample) => show(&sample),
        Err(reject) => format!("{}: {}", reject.record, reject.reason),
    }
}

/// `@FROM-TO`, unless it is the whole.
fn show_part(part: &Interval) -> String {
    match (*part == Interval::WHOLE, part.end()) {
        (true, _) => String::new(),
        (false, Some(end)) => format!("@{}-{end}", part.start()),
        (false, None) => format!("@{}-", part.start()),
    }
}

fn show(sample: &Sample) -> String {
    let medium = |index: usize| match &sample.media[index] {
        Medium::Image(bytes) => format!("[{}]", bytes.len()),
        Medium::Video(bytes, part) => format!("{{{}{}}}", bytes.len(), show_part(part)),
        Medium::VideoFile(path, part) => {
            format!("{{{}{}}}", path.file_name().unwrap().display(), show_part(part))
        }
    };
    let content = match &sample.content {
        Content::Page(document) => {
            let chunk = |chunk: &Chunk| match chunk {
                Chunk::Text(text) => text.clone(),
                Chunk::Image(index) => medium(*index),
            };
            let tie = match document.tie {
                Some(TextTie::Previous) => " tie=previous",
                Some(TextTie::Next) => " tie=next",
                None => "",
            };
            document.chunks.iter().map(chunk).collect::<String>() + tie
        }
        Content::Pair(texts) => format!("{} {}", medium(0), texts.join("|")),
        Content::Text(text) => text.clone(),
    };
    let losses: String = sample.losses.iter().map(|loss| format!(" ({})", loss.reason)).collect();
    format!("{}: {content}{losses}", sample.key)
}
