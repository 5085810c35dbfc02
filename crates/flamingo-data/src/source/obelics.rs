//! OBELICS-style documents in Parquet: aligned lists of images and texts.
//!
//! ```text
//! images            [null, "https://…/cow.jpg", null]     texts  ["A farm.", null, "More."]
//! general_metadata  {"url": "https://…"}                  metadata  [null, {"alt_text": "cow", …}, null]
//! ```
//!
//! At each place is either an image or a text. OBELICS has URLs of images, not the images. Their bytes come, in this
//! order, from the list itself (`{bytes, path}` instead of a URL, as Hugging Face's `datasets` writes images), from a
//! list `images_bytes` beside it, from a folder of images by the SHA-256 of their URLs ([`Options::folder`]), and from
//! the web ([`Options::download`]). The two columns of metadata are not read. The same lists as JSON lines work too.

use serde::{Deserialize, Serialize};

use super::files::Files;
use super::page::Page;
use super::rows::{self, Cell, Row};
use super::{Format, Records, Source, SourceSpec, Unread};
use crate::DataError;
use crate::reject::{Reason, Reject};
use crate::store::{Location, Store};

/// The format `obelics`.
pub const FORMAT: Format = Format {
    name: "obelics",
    summary: "Parquet tables of interleaved documents: aligned lists of images and texts, as in OBELICS",
    open: |spec, store| Ok(Box::new(Obelics::open(spec, store)?)),
};

/// Options of the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// A folder with images by the SHA-256 of their URLs: 64 hexadecimal digits and `.jpg`, `.jpeg`, `.png`, `.webp`,
    /// `.gif` or nothing. Relative paths of images start here too.
    pub folder: Option<String>,
    /// Whether images that are nowhere else are fetched by their URLs (feature `cloud`).
    pub download: bool,
    /// Documents with fewer images are left out.
    pub min_images: usize,
    /// The most bytes of an image.
    pub max_image_bytes: u64,
}

impl Default for Options {
    /// At least 1 image, of at most 64 MiB.
    fn default() -> Self {
        Self { folder: None, download: false, min_images: 1, max_image_bytes: 64 << 20 }
    }
}

/// Tables of documents.
struct Obelics {
    tables: Vec<Location>,
    options: Options,
    files: Files,
}

impl Obelics {
    fn open(spec: &SourceSpec, store: &Store) -> Result<Self, DataError> {
        let options: Options = spec.options()?;
        let files = Files {
            store: store.clone(),
            folder: options.folder.as_ref().map(Into::into),
            download: options.download,
            limit: options.max_image_bytes,
        };
        files.check(spec)?;
        Ok(Self { tables: store.files(&spec.paths, rows::ENDINGS)?, options, files })
    }
}

impl Source for Obelics {
    fn shards(&self) -> &[Location] {
        &self.tables
    }

    fn open(&self, shard: usize, skip: usize) -> Result<Records, Reject> {
        let table = &self.tables[shard];
        let columns = ["images", "texts", "images_bytes"].map(str::to_owned).into();
        let rows = rows::open(&self.files.store, table, &columns, skip)?;
        let (table, min_images, files) = (table.clone(), self.options.min_images, self.files.clone());
        Ok(Box::new((skip..).zip(rows).map(move |(number, row)| {
            let (row, key, table, files) = (row?, number.to_string(), table.clone(), files.clone());
            let bytes = row.len();
            Ok(Unread::new(key.clone(), bytes, move || {
                let mut page = Page::new(&table, &key);
                row.parse(None)
                    .and_then(|row| fill(&mut page, row, &files))
                    .map_err(|(reason, what)| page.reject(reason, what))?;
                page.finish(min_images)
            }))
        })))
    }
}

/// Fills a page with what a row has.
fn fill(page: &mut Page, mut row: Row, files: &Files) -> Result<(), (Reason, String)> {
    let images = list(&mut row, "images")?;
    let texts = list(&mut row, "texts")?;
    let bad = |what: String| Err((Reason::BadDescription, what));
    let (Some(images), Some(texts)) = (images, texts) else {
        let what = format!("needs the lists `images` and `texts`, but the row has {}", row.names());
        return Err((Reason::Missing, what));
    };
    let contents = list(&mut row, "images_bytes")?.unwrap_or_else(|| vec![Cell::Null; images.len()]);
    if images.len() != texts.len() || images.len() != contents.len() {
        let (images, texts, contents) = (images.len(), texts.len(), contents.len());
        return bad(format!(
            "lists of different lengths: {images} images, {texts} texts, {contents} `images_bytes`"
        ));
    }
    for (place, ((image, text), bytes)) in images.into_iter().zip(texts).zip(contents).enumerate() {
        match (image, text, bytes) {
            (Cell::Null, Cell::Null, Cell::Null) => {}
            (Cell::Null, Cell::Text(text), Cell::Null) => page.text(text),
            (image, Cell::Null, bytes) => match contents_of(image, bytes, files) {
                Ok(bytes) => {
                    let image = page.image(bytes);
                    page.show(image);
                }
                Err((reason, what)) => page.lose(reason, what),
            },
            _ => return bad(format!("place {place} has not either an image or a text")),
        }
    }
    Ok(())
}

/// The bytes of an image, of which the row says `image` and `bytes`.
fn contents_of(image: Cell, bytes: Cell, files: &Files) -> Result<Vec<u8>, (Reason, String)> {
    match (image, bytes) {
        (_, Cell::Bytes(bytes)) | (Cell::Bytes(bytes), Cell::Null) => {
            match bytes.len() as u64 > files.limit {
                true => Err((
                    Reason::TooLarge,
                    format!("an image of {} bytes, over {}", bytes.len(), files.limit),
                )),
                false => Ok(bytes),
            }
        }
        (Cell::Text(name), Cell::Null) if super::files::is_url(&name) => files.read_kept(&name),
        (Cell::Text(name), Cell::Null) => files.read(&name),
        (Cell::Group(mut image), Cell::Null) => {
            let bytes = image.take("bytes").unwrap_or(Cell::Null);
            match (bytes, image.take("path")) {
                (bytes @ Cell::Bytes(_), _) => contents_of(bytes, Cell::Null, files),
                (_, Some(name @ Cell::Text(_))) => contents_of(name, Cell::Null, files),
                _ => Err((Reason::Missing, "an image with neither `bytes` nor `path`".to_owned())),
            }
        }
        _ => Err((Reason::BadDescription, "an image that is neither a URL, a path nor bytes".to_owned())),
    }
}

/// A column that must be a list, if it is there.
fn list(row: &mut Row, column: &str) -> Result<Option<Vec<Cell>>, (Reason, String)> {
    match row.take(column) {
        None => Ok(None),
        Some(Cell::List(cells)) => Ok(Some(cells)),
        Some(_) => Err((Reason::BadDescription, format!("column {column:?} is no list"))),
    }
}

#[cfg(test)]
mod tests;
