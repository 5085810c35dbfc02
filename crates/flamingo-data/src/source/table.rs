//! Image-text and video-text pairs as tables, with the files in a folder, in the table, or behind URLs.
//!
//! ```text
//! farm.csv    file_name,caption            farm.jsonl   {"image": "cow.jpg", "captions": ["a cow", "grazing"]}
//!             cow.jpg,"a cow, grazing"     clips.jsonl  {"video": "cow.mp4", "caption": "a cow runs"}
//! ```
//!
//! CSV and TSV have a row of names; JSON is one object a line (`.jsonl`, `.ndjson`) or one list of objects (`.json`,
//! also under `images`, `annotations` or `data`); Parquet may hold the images themselves, as bytes or as the structure
//! `{bytes, path}` that Hugging Face's `datasets` writes. All but Parquet may be compressed (`.gz`, `.zst`).
//!
//! A row of a `video-table` may say which part of a longer video it is about, in the columns `start` and `end`:
//!
//! ```text
//! moments.csv  video,start,end,caption          {"video": "farm.mp4", "start": 61.5, "end": "1:10", "caption": "a pig"}
//!              farm.mp4,12,20.5,a cow grazes
//! ```
//!
//! Times are seconds from the first picture on, or clock times (`1:10`, `01:02:03.5`). Without an end, the part goes on to
//! the end of the video; what lies beyond it is cut off.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{Files, is_url};
use super::rows::{self, Cell, Row};
use super::{Format, Records, Source, SourceSpec, Unread};
use crate::DataError;
use crate::reject::{Reason, Reject};
use crate::sample::{Content, Medium, Sample};
use crate::store::{Location, Store};
use crate::video::Interval;

/// The format `table`.
pub const IMAGES: Format = Format {
    name: "table",
    summary: "tables of images with captions: CSV, TSV, JSON, JSON lines or Parquet",
    open: |spec, store| Ok(Box::new(Table::open(spec, store, Kind::Image)?)),
};

/// The format `video-table`.
pub const CLIPS: Format = Format {
    name: "video-table",
    summary: "tables of clips with captions: CSV, TSV, JSON, JSON lines or Parquet",
    open: |spec, store| Ok(Box::new(Table::open(spec, store, Kind::Clip)?)),
};

/// Options of both formats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The column of the image or clip; by default the first that is there of `image`, `video`, `file_name`,
    /// `filename`, `filepath`, `file`, `path`, `url` and `image_url`.
    pub media: Option<String>,
    /// The columns of captions, each a text or a list of texts; all that are there are used. By default the first that
    /// is there of `captions`, `caption`, `sentences`, `text`, `txt` and `title`.
    pub captions: Vec<String>,
    /// The columns of where a clip begins and ends in a longer video; by default `start` and `end`. A row may leave
    /// either empty.
    pub start: Option<String>,
    /// See `start`.
    pub end: Option<String>,
    /// Whether clips are used whole, whatever the columns of times say: for files that were cut already.
    pub whole: bool,
    /// The folder of the files; by default the table's own.
    pub folder: Option<String>,
    /// Whether URLs are fetched (feature `cloud`).
    pub download: bool,
    /// The encoding of text that is not UTF-8, such as `windows-1252`; by default the likeliest of each row.
    pub encoding: Option<String>,
    /// The most bytes of an image, or of a clip that is in the table or fetched.
    pub max_file_bytes: u64,
}

impl Default for Options {
    /// 64 MiB a file.
    fn default() -> Self {
        Self {
            media: None,
            captions: Vec::new(),
            start: None,
            end: None,
            whole: false,
            folder: None,
            download: false,
            encoding: None,
            max_file_bytes: 64 << 20,
        }
    }
}

const MEDIA: [&str; 9] =
    ["image", "video", "file_name", "filename", "filepath", "file", "path", "url", "image_url"];
const CAPTIONS: [&str; 6] = ["captions", "caption", "sentences", "text", "txt", "title"];
const TIMES: [&str; 2] = ["start", "end"];
/// Where a list of captions has structures, their texts: as in COCO's annotations and Karpathy's splits.
const INNER: [&str; 3] = ["raw", "caption", "text"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Clip,
}

/// Tables of pairs.
struct Table {
    tables: Vec<Location>,
    options: Options,
    kind: Kind,
    store: Store,
}

impl Table {
    fn open(spec: &SourceSpec, store: &Store, kind: Kind) -> Result<Self, DataError> {
        let options: Options = spec.options()?;
        let table = Self { tables: Vec::new(), options, kind, store: store.clone() };
        table.files("".as_ref()).check(spec)?;
        table.options.check_times(spec, kind)?;
        if let Some(label) = &table.options.encoding
            && encoding_rs::Encoding::for_label(label.as_bytes()).is_none()
        {
            return Err(
                spec.bad_option(format!("`encoding`: {label:?} is none; try `windows-1252` or `shift_jis`"))
            );
        }
        Ok(Self { tables: store.files(&spec.paths, rows::ENDINGS)?, ..table })
    }

    fn files(&self, table: &Path) -> Files {
        let own = || table.parent().map(Path::to_owned);
        Files {
            store: self.store.clone(),
            folder: self.options.folder.as_ref().map(Into::into).or_else(own),
            download: self.options.download,
            limit: self.options.max_file_bytes,
        }
    }

    fn columns(&self) -> Vec<String> {
        let Options { media, captions, .. } = &self.options;
        let mut columns: Vec<String> = captions.iter().chain(media).cloned().collect();
        columns.extend(self.options.times(self.kind).into_iter().flatten());
        if media.is_none() {
            columns.extend(MEDIA.map(str::to_owned));
        }
        if captions.is_empty() {
            columns.extend(CAPTIONS.map(str::to_owned));
        }
        columns
    }
}

impl Options {
    /// The columns of times, if there may be some.
    fn times(&self, kind: Kind) -> Option<[String; 2]> {
        let name = |option: &Option<String>, usual: &str| option.clone().unwrap_or_else(|| usual.to_owned());
        (kind == Kind::Clip && !self.whole).then(|| [name(&self.start, TIMES[0]), name(&self.end, TIMES[1])])
    }

    /// Refuses columns of times that would not be looked at.
    fn check_times(&self, spec: &SourceSpec, kind: Kind) -> Result<(), DataError> {
        let named = self.start.is_some() || self.end.is_some();
        match (named || self.whole, kind) {
            (true, Kind::Image) => {
                Err(spec
                    .bad_option("`start`, `end` and `whole` are about clips: take the format `video-table`"))
            }
            (true, Kind::Clip) if named && self.whole => Err(spec.bad_option(
                "`whole` leaves the columns of times out, and `start` or `end` name them; choose one",
            )),
            _ => Ok(()),
        }
    }
}

impl Source for Table {
    fn shards(&self) -> &[Location] {
        &self.tables
    }

    fn open(&self, shard: usize, skip: usize) -> Result<Records, Reject> {
        let table = &self.tables[shard];
        let rows = rows::open(&self.store, table, &self.columns(), skip)?;
        let files = self.files(table.path().unwrap_or("".as_ref()));
        let (table, options, kind) = (table.clone(), self.options.clone(), self.kind);
        Ok(Box::new((skip..).zip(rows).map(move |(number, row)| {
            let (row, key, table) = (row?, number.to_string(), table.clone());
            let (files, options, bytes) = (files.clone(), options.clone(), row.len());
            Ok(Unread::new(key.clone(), bytes, move || {
                let reject = |(reason, what): (Reason, String)| Reject::new(&table, &key, reason, what);
                let mut row = row.parse(options.encoding.as_deref()).map_err(reject)?;
                let captions = captions(&mut row, &options.captions).map_err(reject)?;
                let part = part(&mut row, options.times(kind)).map_err(reject)?;
                let medium =
                    medium(&mut row, options.media.as_deref(), kind, part, &files).map_err(reject)?;
                Ok(Sample::new(key.clone(), Content::Pair(captions), vec![medium]))
            }))
        })))
    }
}

/// The captions of a row, none of them empty; at least one.
fn captions(row: &mut Row, wanted: &[String]) -> Result<Vec<String>, (Reason, String)> {
    let mut texts = Vec::new();
    let mut is_there = false;
    let usual: Vec<String> = CAPTIONS.map(str::to_owned).into();
    for column in if wanted.is_empty() { &usual } else { wanted } {
        let Some(cell) = row.take(column) else { continue };
        is_there = true;
        if !gather(cell, &mut texts) {
            return Err((
                Reason::BadDescription,
                format!("column {column:?} must be a text or a list of texts"),
            ));
        }
        if wanted.is_empty() {
            break;
        }
    }
    match (is_there, texts.is_empty()) {
        (true, false) => Ok(texts),
        (true, true) => Err((Reason::Empty, "the caption is empty".to_owned())),
        _ => {
            let wanted = if wanted.is_empty() { &usual } else { wanted };
            let (wanted, names) = (wanted.join(", "), row.names());
            Err((Reason::Missing, format!("no caption; expected one of {wanted}, but the row has {names}")))
        }
    }
}

/// Adds the texts of a cell to `texts`; `false` if it has something else.
fn gather(cell: Cell, texts: &mut Vec<String>) -> bool {
    match cell {
        Cell::Text(text) => {
            texts.extend(Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned));
            true
        }
        Cell::Null => true,
        Cell::List(cells) => cells.into_iter().all(|cell| gather(cell, texts)),
        Cell::Group(mut row) => {
            INNER.iter().find_map(|name| row.take(name)).is_some_and(|cell| gather(cell, texts))
        }
        Cell::Bytes(_) | Cell::Number(_) => false,
    }
}

/// The part of the clip that a row is about, by its columns of times.
fn part(row: &mut Row, times: Option<[String; 2]>) -> Result<Interval, (Reason, String)> {
    let Some(columns) = times else { return Ok(Interval::WHOLE) };
    let mut time = |column: &String| match row.take(column).map(|cell| seconds(&cell)) {
        None => Ok(None),
        Some(Some(seconds)) => Ok(seconds),
        Some(None) => {
            let what = "must be a number of seconds or a clock time such as 1:02:03.5, one for each row";
            Err((Reason::BadDescription, format!("column {column:?} {what}")))
        }
    };
    match (time(&columns[0])?, time(&columns[1])?) {
        (None, None) => Ok(Interval::WHOLE),
        (start, end) => Interval::new(start.unwrap_or(0.0), end).map_err(|error| {
            let [start, end] = &columns;
            (Reason::BadDescription, format!("columns {start:?} and {end:?}: {error}"))
        }),
    }
}

/// The time in a cell, in seconds: `Some(None)` if it is empty, `None` if it is no time.
fn seconds(cell: &Cell) -> Option<Option<f64>> {
    let text = match cell {
        Cell::Null => return Some(None),
        Cell::Number(number) => return Some(Some(*number)),
        Cell::Text(text) => text.trim(),
        Cell::Bytes(_) | Cell::List(_) | Cell::Group(_) => return None,
    };
    if text.is_empty() {
        return Some(None);
    }
    let mut parts: Vec<f64> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let last = parts.pop()?;
    let is_clock = parts.len() <= 2
        && parts.iter().all(|part| *part >= 0.0 && part.fract() == 0.0)
        && (parts.is_empty() || (0.0..60.0).contains(&last))
        && parts.iter().skip(1).all(|minutes| *minutes < 60.0);
    is_clock.then(|| Some(parts.iter().fold(0.0, |sum, part| (sum + part) * 60.0) + last))
}

/// The image or clip of a row.
fn medium(
    row: &mut Row,
    wanted: Option<&str>,
    kind: Kind,
    part: Interval,
    files: &Files,
) -> Result<Medium, (Reason, String)> {
    let cell = match wanted {
        Some(column) => row.take(column),
        None => MEDIA.iter().find_map(|column| row.take(column)),
    };
    let from_bytes = |bytes: Vec<u8>| match bytes.len() as u64 > files.limit {
        true => Err((Reason::TooLarge, format!("{} bytes, over the limit of {}", bytes.len(), files.limit))),
        false if kind == Kind::Clip => Ok(Medium::Video(bytes, part)),
        false => Ok(Medium::Image(bytes)),
    };
    let from_name = |name: &str| match kind {
        Kind::Clip if !is_url(name) => Ok(Medium::VideoFile(files.path(name)?, part)),
        _ => from_bytes(files.read(name)?),
    };
    match cell {
        Some(Cell::Text(name)) => from_name(name.trim()),
        Some(Cell::Bytes(bytes)) => from_bytes(bytes),
        Some(Cell::Group(mut image)) => match (image.take("bytes"), image.take("path")) {
            (Some(Cell::Bytes(bytes)), _) => from_bytes(bytes),
            (_, Some(Cell::Text(name))) => from_name(&name),
            _ => Err((Reason::Missing, "the image has neither `bytes` nor `path`".to_owned())),
        },
        Some(_) => {
            Err((Reason::BadDescription, "the image or clip is neither a name, a URL nor bytes".to_owned()))
        }
        None => {
            let wanted = wanted.map_or_else(|| MEDIA.join(", "), str::to_owned);
            let what = format!("no image or clip; expected {wanted}, but the row has {}", row.names());
            Err((Reason::Missing, what))
        }
    }
}

#[cfg(test)]
mod tests;
