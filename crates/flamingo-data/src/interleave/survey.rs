//! The first pass: every page and every image is looked at once, and what later decisions need is noted.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::address::{Folder, Place};
use super::files::{self, PageFile};
use super::perceptual::{Exclusion, Fingerprint};
use super::picture::{self, Picture};
use super::report::{ImageFilter, PageFilter};
use super::state::{State, io_error};
use super::{InterleaveSpec, Page, Progress, Stage, language, quality};
use crate::reject::Reason;
use crate::{DataError, ShardReader};

/// Endings of image files in an evaluation set.
const IMAGES: [&str; 5] = ["png", "jpg", "jpeg", "webp", "gif"];

/// What is noted of a page.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum PageFacts {
    /// It cannot be read, and why.
    Bad(Reason, String),
    Read {
        /// Of the text: pages with equal ones are equal.
        sum: String,
        words: usize,
        characters: usize,
        /// The rule that the text breaks.
        filter: Option<PageFilter>,
        images: Vec<Found>,
    },
}

/// What is noted of an image on a page.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Found {
    /// A file, by its path below the folder.
    File(String),
    /// An image in the page.
    Inline(Picture),
    /// None that is here.
    Absent(ImageFilter),
}

/// All that was noted.
pub(crate) struct Survey {
    pub pages: Vec<PageFacts>,
    /// Image files by path.
    pub files: HashMap<String, Picture>,
    pub exclusion: Exclusion,
}

impl Survey {
    /// Looks at all pages, then at the image files that they show, then at what is to be excluded.
    ///
    /// # Errors
    ///
    /// If the state cannot be written, or an excluded image cannot be read.
    pub fn take(
        spec: &InterleaveSpec,
        folder: &Folder,
        pages: &[PageFile],
        state: &State,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Self, DataError> {
        let facts = state.all(
            "pages",
            pages,
            |page| page_facts(spec, folder, page),
            |done| {
                progress(Progress { stage: Stage::Pages, done, total: pages.len() });
            },
        )?;
        let names: BTreeSet<&str> = facts.iter().flat_map(image_files).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let look = |name: &&str| look_at(&spec.html.join(name), spec);
        let pictures = state.all("images", &names, look, |done| {
            progress(Progress { stage: Stage::Images, done, total: names.len() });
        })?;
        let files = names.iter().map(|name| (*name).to_owned()).zip(pictures).collect();
        let exclusion = exclusion(spec)?;
        Ok(Self { pages: facts, files, exclusion })
    }

    /// The picture of an image on a page.
    pub fn picture<'a>(&'a self, found: &'a Found) -> Result<&'a Picture, ImageFilter> {
        match found {
            Found::File(name) => self.files.get(name).ok_or(ImageFilter::Missing),
            Found::Inline(picture) => Ok(picture),
            Found::Absent(why) => Err(*why),
        }
    }
}

/// The image files that a page shows.
fn image_files(facts: &PageFacts) -> impl Iterator<Item = &str> {
    let images: &[Found] = match facts {
        PageFacts::Bad(..) => &[],
        PageFacts::Read { images, .. } => images,
    };
    images.iter().filter_map(|found| match found {
        Found::File(name) => Some(name.as_str()),
        _ => None,
    })
}

fn page_facts(spec: &InterleaveSpec, folder: &Folder, file: &PageFile) -> PageFacts {
    let page = match read_page(file, spec.max_page_bytes) {
        Ok(page) => page,
        Err((reason, what)) => return PageFacts::Bad(reason, what),
    };
    let images = page.images.iter().map(|image| match folder.find(&file.name, page.base.as_deref(), image) {
        Place::File(name) => Found::File(name),
        Place::Inline(bytes) => Found::Inline(picture::examine(&bytes, &file.name, &spec.images)),
        Place::Absent(why) => Found::Absent(why),
    });
    PageFacts::Read {
        images: images.collect(),
        sum: picture::sum(page.text.as_bytes()),
        words: page.text.split_whitespace().count(),
        characters: page.text.chars().count(),
        filter: text_filter(&page.text, spec),
    }
}

/// Reads a page's file.
///
/// # Errors
///
/// The reason, and words about it.
pub(crate) fn read_page(file: &PageFile, max_bytes: u64) -> Result<Page, (Reason, String)> {
    let unreadable = |error: std::io::Error| (Reason::Missing, format!("cannot be read: {error}"));
    let size = fs::metadata(&file.path).map_err(unreadable)?.len();
    if size > max_bytes {
        return Err((Reason::TooLarge, format!("{size} bytes, more than the {max_bytes} allowed")));
    }
    Page::read(&fs::read(&file.path).map_err(unreadable)?)
}

/// The first rule that a text breaks.
fn text_filter(text: &str, spec: &InterleaveSpec) -> Option<PageFilter> {
    let rules = &spec.documents;
    let words = text.split_whitespace().count();
    if words < rules.min_words {
        return Some(PageFilter::TooShort);
    }
    if words > rules.max_words {
        return Some(PageFilter::TooLong);
    }
    let mut wanted = rules.languages.iter().filter_map(|name| language::code(name)).peekable();
    if wanted.peek().is_some() {
        let found = language::detect(text);
        if !wanted.any(|wanted| Some(wanted) == found) {
            return Some(PageFilter::Language);
        }
    }
    if rules.gopher { quality::judge(text) } else { None }
}

fn look_at(path: &Path, spec: &InterleaveSpec) -> Picture {
    // The size first: a file may be larger than the memory.
    match fs::metadata(path) {
        Ok(facts) if facts.len() > spec.images.max_bytes => {
            let what = format!("{} bytes, more than the {} allowed", facts.len(), spec.images.max_bytes);
            return Picture::Bad(Reason::ImageTooLarge, what);
        }
        _ => {}
    }
    match fs::read(path) {
        Ok(bytes) => picture::examine(&bytes, &path.display().to_string(), &spec.images),
        Err(error) => Picture::Bad(Reason::Missing, format!("cannot be read: {error}")),
    }
}

/// Fingerprints of the pictures that no image may be like. One that cannot be read is an error: what it shows could
/// otherwise be in the documents.
fn exclusion(spec: &InterleaveSpec) -> Result<Exclusion, DataError> {
    let endings = [&IMAGES[..], &["tar", "gz", "tgz", "zst"]].concat();
    let mut files = Vec::new();
    for place in &spec.images.exclude_like {
        let found = files::below(place, &endings)?;
        if found.is_empty() {
            let hint = "expected images (png, jpg, webp, gif) or shards to exclude".to_owned();
            return Err(DataError::MissingShard { path: place.clone(), hint });
        }
        files.extend(found);
    }
    let prints = files.par_iter().map(|path| prints(path)).collect::<Result<Vec<_>, DataError>>()?;
    Ok(Exclusion::new(prints.into_iter().flatten(), spec.images.exclude_radius))
}

/// Fingerprints of an image, or of all images of a shard.
fn prints(path: &Path) -> Result<Vec<Fingerprint>, DataError> {
    let is_image = |ending: &str| IMAGES.contains(&ending);
    if path.extension().is_some_and(|ending| is_image(&ending.to_string_lossy().to_ascii_lowercase())) {
        let bytes = fs::read(path).map_err(|error| io_error(path, error))?;
        let picture = crate::image::decode(&bytes, &path.display().to_string())?;
        return Ok(vec![Fingerprint::new(&picture)]);
    }
    let mut prints = Vec::new();
    for record in ShardReader::open(path)? {
        let record = record?;
        for (field, bytes) in &record.fields {
            if is_image(field.rsplit('.').next().unwrap_or_default()) {
                let picture = crate::image::decode(bytes, &format!("{}: {}", path.display(), record.key))?;
                prints.push(Fingerprint::new(&picture));
            }
        }
    }
    Ok(prints)
}
