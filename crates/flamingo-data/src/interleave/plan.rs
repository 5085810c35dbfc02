//! Between the passes: which pages become documents, and which of their images are kept. One thread decides, in the
//! order of the pages, so the outcome does not depend on threads.

use std::collections::{HashMap, HashSet};

use super::InterleaveSpec;
use super::files::PageFile;
use super::perceptual::Fingerprint;
use super::picture::{self, Facts, Picture};
use super::report::{ImageFilter, PageFilter, Report};
use super::survey::{Found, PageFacts, Survey};
use crate::DataError;
use crate::reject::{Reject, RejectLog};

/// A layout image is on more pages than this, however small its site.
const FEWEST_PAGES: usize = 3;

/// A page that becomes a document.
#[derive(Debug)]
pub(crate) struct Planned {
    /// The page's place among all pages.
    pub page: usize,
    /// What is known of each image that is kept; `None` for the others.
    pub images: Vec<Option<Facts>>,
}

/// Decides on all pages. What cannot be used goes to `log`.
///
/// # Errors
///
/// [`DataError::TooManyRejects`], and if `log` cannot be written.
pub(crate) fn plan(
    spec: &InterleaveSpec,
    files: &[PageFile],
    survey: &Survey,
    log: &mut RejectLog,
) -> Result<(Vec<Planned>, Report), DataError> {
    log_rejects(spec, files, survey, log)?;
    let layout = Layout::new(spec, files, survey);
    let mut report = Report { pages: files.len() as u64, ..Report::default() };
    let (mut planned, mut seen) = (Vec::new(), HashSet::new());
    for (page, facts) in survey.pages.iter().enumerate() {
        let PageFacts::Read { sum, words, characters, filter, images } = facts else { continue };
        let site = site(&files[page], spec.site_depth);
        let kept = choose(spec, survey, &layout, site, images, &mut report);
        let good = kept.iter().flatten().count() as u64;
        report.images_seen += images.len() as u64;
        let filter = filter.or_else(|| (good == 0).then_some(PageFilter::NoImages)).or_else(|| {
            let sums = kept.iter().flatten().map(|facts| facts.sum.as_str());
            let whole: Vec<&str> = [sum.as_str()].into_iter().chain(sums).collect();
            (!seen.insert(picture::sum(whole.join(" ").as_bytes()))).then_some(PageFilter::Duplicate)
        });
        if let Some(filter) = filter {
            *report.pages_filtered.entry(filter).or_default() += 1;
            report.images_on_dropped_pages += good;
            continue;
        }
        report.documents += 1;
        report.images += good;
        report.words += *words as u64;
        report.characters += *characters as u64;
        planned.push(Planned { page, images: kept });
    }
    report.rejects = log.by_reason().clone();
    report.shards = planned.len().div_ceil(spec.shards.size) as u64;
    Ok((planned, report))
}

/// Writes down pages and images that cannot be used, and counts the others.
fn log_rejects(
    spec: &InterleaveSpec,
    files: &[PageFile],
    survey: &Survey,
    log: &mut RejectLog,
) -> Result<(), DataError> {
    let shard = spec.html.display();
    let mut note = |record: &str, picture: &Picture| match picture {
        Picture::Bad(reason, what) => log.reject(&Reject::new(&shard, record, *reason, what)),
        _ => {
            log.accept();
            Ok(())
        }
    };
    for (file, facts) in files.iter().zip(&survey.pages) {
        match facts {
            PageFacts::Bad(reason, what) => note(&file.name, &Picture::Bad(*reason, what.clone()))?,
            PageFacts::Read { images, .. } => {
                note(&file.name, &Picture::Dropped(ImageFilter::Missing))?;
                for found in images {
                    if let Found::Inline(picture) = found {
                        note(&file.name, picture)?;
                    }
                }
            }
        }
    }
    let mut images: Vec<_> = survey.files.iter().collect();
    images.sort_by_key(|(name, _)| *name);
    images.into_iter().try_for_each(|(name, picture)| note(name, picture))
}

/// The images of a page that are kept.
fn choose(
    spec: &InterleaveSpec,
    survey: &Survey,
    layout: &Layout,
    site: &str,
    images: &[Found],
    report: &mut Report,
) -> Vec<Option<Facts>> {
    let mut kept: Vec<Option<Facts>> = Vec::with_capacity(images.len());
    for found in images {
        let verdict = match survey.picture(found) {
            Err(filter) | Ok(&Picture::Dropped(filter)) => Err(filter),
            Ok(Picture::Bad(..)) => Err(ImageFilter::Unusable),
            Ok(Picture::Good(facts)) if survey.exclusion.contains(&facts.print) => Err(ImageFilter::Excluded),
            Ok(Picture::Good(facts)) if layout.has(site, &facts.print) => Err(ImageFilter::Repeated),
            Ok(Picture::Good(facts)) => {
                let radius = spec.images.duplicate_radius;
                let is_copy = kept.iter().flatten().any(|earlier| is_copy(earlier, facts, radius));
                if is_copy { Err(ImageFilter::Duplicate) } else { Ok(facts.clone()) }
            }
        };
        if let Err(filter) = verdict {
            *report.images_filtered.entry(filter).or_default() += 1;
        }
        kept.push(verdict.ok());
    }
    kept
}

/// Whether a document shows one picture twice: the same file, or a near-duplicate of another size, as thumbnails are. One
/// of the same size that is near but not equal was put there to be compared, like "before" and "after" of a filter.
fn is_copy(earlier: &Facts, facts: &Facts, radius: u32) -> bool {
    let resized = (earlier.width, earlier.height) != (facts.width, facts.height);
    earlier.sum == facts.sum || (resized && earlier.print.is_near(&facts.print, radius))
}

/// Images that belong to the layout of sites: those on many pages.
struct Layout {
    everywhere: HashSet<Fingerprint>,
    of_site: HashSet<(String, Fingerprint)>,
}

impl Layout {
    fn new(spec: &InterleaveSpec, files: &[PageFile], survey: &Survey) -> Self {
        let mut everywhere: HashMap<Fingerprint, usize> = HashMap::new();
        let mut of_site: HashMap<(&str, Fingerprint), usize> = HashMap::new();
        let mut pages: HashMap<&str, usize> = HashMap::new();
        for (file, facts) in files.iter().zip(&survey.pages) {
            let PageFacts::Read { images, .. } = facts else { continue };
            let site = site(file, spec.site_depth);
            *pages.entry(site).or_default() += 1;
            let shown = images.iter().filter_map(|found| match survey.picture(found) {
                Ok(Picture::Good(facts)) => Some(facts.print),
                _ => None,
            });
            for print in shown.collect::<HashSet<_>>() {
                *everywhere.entry(print).or_default() += 1;
                *of_site.entry((site, print)).or_default() += 1;
            }
        }
        let most = |site: &str| {
            let share = (spec.images.max_site_share * pages[site] as f64) as usize;
            share.max(FEWEST_PAGES)
        };
        let of_site = of_site.into_iter().filter(|((site, _), count)| *count > most(site));
        let everywhere = everywhere.into_iter().filter(|(_, count)| *count > spec.images.max_pages);
        Self {
            everywhere: everywhere.map(|(print, _)| print).collect(),
            of_site: of_site.map(|((site, print), _)| (site.to_owned(), print)).collect(),
        }
    }

    fn has(&self, site: &str, print: &Fingerprint) -> bool {
        self.everywhere.contains(print) || self.of_site.contains(&(site.to_owned(), *print))
    }
}

/// The site of a page: the first folders of its path.
fn site(file: &PageFile, depth: usize) -> &str {
    let ends = file.name.match_indices('/').map(|(at, _)| at);
    match depth {
        0 => "",
        _ => ends.take(depth).last().map_or("", |end| &file.name[..end]),
    }
}
