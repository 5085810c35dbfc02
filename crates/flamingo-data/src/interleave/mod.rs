//! Web pages to interleaved documents, as the paper's M3W (section 3.4, appendix A.3).
//!
//! ```text
//! .html ─charset─▶ text ─dom─▶ tree ─boilerplate, flow─▶ Page ┐ survey   ┐ plan                  ┐ shards
//!                                                             ├─ facts ─▶│ documents, their      ├─▶ documents-….tar
//! images ─────────────────────────────picture, perceptual─────┘          ┘ images, the report    ┘   report.json
//! ```
//!
//! Two passes over the pages, because which images are a site's layout is known only when all pages were seen. Both run
//! in parallel on rayon's pool; the decisions between them are made by one thread, in order. So the output is a
//! function of the pages and the [`InterleaveSpec`], byte for byte, whatever the number of threads and however often
//! the run was killed: finished work is kept in `.interleave` beside the shards.
//!
//! Where the paper is silent (it says "as MassiveWeb", which is not public): what is boilerplate, see `boilerplate.rs`;
//! images on more than 10 pages are layout, as in OBELICS. Explicit content is not filtered.

mod address;
mod boilerplate;
mod charset;
mod dom;
mod files;
mod flow;
mod language;
mod page;
pub mod perceptual;
mod picture;
mod plan;
mod quality;
pub mod report;
mod shards;
pub mod spec;
mod srcset;
mod state;
mod survey;

#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use self::shards::Making;
use self::state::{State, io_error, write_whole};
use self::survey::Survey;
use crate::DataError;
use crate::reject::RejectLog;

pub(crate) use address::{Folder, Place};
pub use dom::{MAX_ATTRIBUTES, MAX_DEPTH, MAX_NODES};
pub(crate) use files::{PageFile, pages};
pub use page::{Page, PageImage, Piece};
pub use perceptual::{Exclusion, Fingerprint};
pub(crate) use picture::{Picture, examine};
pub use report::{ImageFilter, PageFilter, Report};
pub use spec::{Compression, DocumentRules, ImageRules, InterleaveSpec, ShardRules};
pub(crate) use survey::read_page;

/// A new version of the rules is a new run, even over the same pages.
const VERSION: u32 = 1;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How much of it is done.
    pub done: usize,
    /// How much there is.
    pub total: usize,
}

/// What a run does, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reads pages.
    Pages,
    /// Looks at images.
    Images,
    /// Writes documents.
    Documents,
}

impl Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Pages => "pages",
            Stage::Images => "images",
            Stage::Documents => "documents",
        })
    }
}

/// Makes documents of a folder of pages: shards in the format `documents`, `report.json` and `rejects.jsonl` in the folder
/// `output`. A run that was killed goes on where it was; a finished one is not done again.
///
/// `most` is the share of pages and image files that may be unusable; `progress` is told of each step, from any thread.
///
/// # Errors
///
/// [`DataError::Interleave`] on rules that make no sense, [`DataError::MissingShard`] if there is no page,
/// [`DataError::OtherRun`] if `output` belongs to other pages or rules, [`DataError::TooManyRejects`], and
/// [`DataError::Io`].
pub fn interleave(
    spec: &InterleaveSpec,
    output: &Path,
    most: f64,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, DataError> {
    let folder = check(spec)?;
    let (pages, unnamed) = files::pages(&spec.html)?;
    fs::create_dir_all(output).map_err(|error| io_error(output, error))?;
    let state = State::open(output, &identity(spec, &pages)?)?;
    let survey = Survey::take(spec, &folder, &pages, &state, progress)?;

    let rejects = output.join("rejects.jsonl");
    write_whole(&rejects, b"")?;
    let mut log = RejectLog::new(Some(&rejects), most)?;
    unnamed.iter().try_for_each(|reject| log.reject(reject))?;
    let (documents, report) = plan::plan(spec, &pages, &survey, &mut log)?;
    drop(survey);

    let done = AtomicUsize::new(0);
    Making { spec, folder: &folder, pages: &pages }.shards(&documents, output, |more| {
        let done = done.fetch_add(more, Ordering::Relaxed) + more;
        progress(Progress { stage: Stage::Documents, done, total: documents.len() });
    })?;
    let path = output.join("report.json");
    let json = serde_json::to_vec_pretty(&report).map_err(|error| io_error(&path, error.into()))?;
    write_whole(&path, &json)?;
    Ok(report)
}

/// Refuses rules that make no sense before any work is done.
fn check(spec: &InterleaveSpec) -> Result<Folder, DataError> {
    let wrong = |what: String| Err(DataError::Interleave { what });
    if spec.shards.size == 0 {
        return wrong("a shard must have at least 1 document".to_owned());
    }
    if spec.images.max_aspect < 1.0 || !(0.0..=1.0).contains(&spec.images.max_site_share) {
        return wrong("the aspect must be 1 or more, the share of a site's pages 0 to 1".to_owned());
    }
    if let Some(name) = spec.documents.languages.iter().find(|name| language::code(name).is_none()) {
        return wrong(format!("{name:?} is no language that can be told; expected a code such as en or eng"));
    }
    Folder::new(&spec.html, spec.base_url.as_deref()).or_else(wrong)
}

/// Tells runs apart: their rules, and the names, sizes and times of their pages.
fn identity(spec: &InterleaveSpec, pages: &[PageFile]) -> Result<String, DataError> {
    let rules = serde_json::to_string(spec).map_err(|error| io_error(&spec.html, error.into()))?;
    let mut hash = Sha256::new_with_prefix(format!("{VERSION}\n{rules}\n"));
    for page in pages {
        let facts = fs::metadata(&page.path).map_err(|error| io_error(&page.path, error))?;
        let time = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        hash.update(format!("{}\0{}\0{:?}\n", page.name, facts.len(), time.unwrap_or_default()));
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
