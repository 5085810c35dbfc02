//! The second pass: documents into shards.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::GzBuilder;
use rayon::prelude::*;
use serde::Serialize;

use super::address::{Folder, Place};
use super::files::PageFile;
use super::page::Piece;
use super::plan::Planned;
use super::spec::Compression;
use super::state::{io_error, partial};
use super::survey::read_page;
use super::{InterleaveSpec, language};
use crate::DataError;

/// Documents that are in memory at once for each shard that is being written.
const AT_ONCE: usize = 16;

/// What all documents are made from.
pub(crate) struct Making<'a> {
    pub spec: &'a InterleaveSpec,
    pub folder: &'a Folder,
    pub pages: &'a [PageFile],
}

/// A document as it lies in a shard.
#[derive(Serialize)]
struct Json<'a> {
    url: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'static str>,
    chunks: Vec<JsonChunk<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum JsonChunk<'a> {
    Text {
        text: &'a str,
    },
    Image {
        image: String,
        width: u32,
        height: u32,
        #[serde(skip_serializing_if = "str::is_empty")]
        alt: &'a str,
    },
}

impl Making<'_> {
    /// Writes all shards into `output` that are not there yet; `progress` is told of each document.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if a page or image has gone since it was looked at, or a shard cannot be written.
    pub fn shards(
        &self,
        documents: &[Planned],
        output: &Path,
        progress: impl Fn(usize) + Sync,
    ) -> Result<(), DataError> {
        documents.par_chunks(self.spec.shards.size).enumerate().try_for_each(|(index, documents)| {
            let path = output.join(shard_name(index, self.spec.shards.compression));
            if path.exists() {
                progress(documents.len());
                return Ok(());
            }
            let partial = partial(&path);
            let file = File::create(&partial).map_err(|error| io_error(&partial, error))?;
            self.shard(documents, BufWriter::new(file), &path, &progress)?;
            fs::rename(&partial, &path).map_err(|error| io_error(&path, error))
        })
    }

    fn shard(
        &self,
        documents: &[Planned],
        file: BufWriter<File>,
        path: &Path,
        progress: &(impl Fn(usize) + Sync),
    ) -> Result<(), DataError> {
        let failed = |error| io_error(path, error);
        match self.spec.shards.compression {
            Compression::None => self.archive(documents, file, path, progress)?.flush(),
            Compression::Gzip => {
                // No name and no time in the header: equal contents are equal bytes.
                let encoder = GzBuilder::new().mtime(0).write(file, flate2::Compression::default());
                self.archive(documents, encoder, path, progress)?.finish().and_then(|mut file| file.flush())
            }
            Compression::Zstd => {
                let encoder = zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(failed)?;
                self.archive(documents, encoder, path, progress)?.finish().and_then(|mut file| file.flush())
            }
        }
        .map_err(failed)
    }

    fn archive<W: Write>(
        &self,
        documents: &[Planned],
        writer: W,
        path: &Path,
        progress: &(impl Fn(usize) + Sync),
    ) -> Result<W, DataError> {
        let mut archive = tar::Builder::new(writer);
        for few in documents.chunks(AT_ONCE) {
            let records: Vec<_> = few.par_iter().map(|document| self.record(document)).collect();
            for record in records {
                for (name, bytes) in record? {
                    let mut header = tar::Header::new_gnu();
                    header.set_size(bytes.len() as u64);
                    header.set_mode(0o644);
                    header.set_mtime(0);
                    archive
                        .append_data(&mut header, name, bytes.as_slice())
                        .map_err(|error| io_error(path, error))?;
                }
            }
            progress(few.len());
        }
        archive.into_inner().map_err(|error| io_error(path, error))
    }

    /// The files of a document: its JSON, then its images.
    fn record(&self, document: &Planned) -> Result<Vec<(String, Vec<u8>)>, DataError> {
        let file = &self.pages[document.page];
        let changed =
            || io_error(&file.path, io::Error::other("has changed since the run began; start it anew"));
        let page = read_page(file, self.spec.max_page_bytes).map_err(|_| changed())?;
        if page.images.len() != document.images.len() {
            return Err(changed());
        }
        let key = format!("{:08}", document.page);
        let mut json = Json {
            url: self.folder.page_name(&file.name),
            title: &page.title,
            language: None,
            chunks: Vec::new(),
        };
        json.language = language::detect(&page.text);
        let mut files = vec![(format!("{key}.json"), Vec::new())];
        for piece in page.pieces(|image| document.images[image].is_some()) {
            let (image, facts) = match piece {
                Piece::Text(text) => {
                    json.chunks.push(JsonChunk::Text { text });
                    continue;
                }
                Piece::Image(image) => {
                    (&page.images[image], document.images[image].as_ref().ok_or_else(changed)?)
                }
            };
            let bytes = match self.folder.find(&file.name, page.base.as_deref(), image) {
                Place::File(name) => {
                    let path: PathBuf = self.spec.html.join(name);
                    fs::read(&path).map_err(|error| io_error(&path, error))?
                }
                Place::Inline(bytes) => bytes,
                Place::Absent(_) => return Err(changed()),
            };
            let name = format!("{}.{}", files.len() - 1, facts.ending);
            files.push((format!("{key}.{name}"), bytes));
            let (width, height) = (facts.width, facts.height);
            json.chunks.push(JsonChunk::Image { image: name, width, height, alt: &image.alt });
            if self.spec.documents.alt_as_text && !image.alt.is_empty() {
                json.chunks.push(JsonChunk::Text { text: &image.alt });
            }
        }
        files[0].1 = serde_json::to_vec(&json).map_err(|error| io_error(&file.path, error.into()))?;
        Ok(files)
    }
}

fn shard_name(index: usize, compression: Compression) -> String {
    let ending = match compression {
        Compression::None => "tar",
        Compression::Gzip => "tar.gz",
        Compression::Zstd => "tar.zst",
    };
    format!("documents-{index:06}.{ending}")
}
