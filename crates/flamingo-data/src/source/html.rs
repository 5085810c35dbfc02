//! Folders of HTML pages as they are, each page a document.
//!
//! Pages are read by the rules of [`crate::interleave`], as far as a page alone tells: what is repeated on many pages of
//! a site, near-duplicates and the quality of the text are not looked at. `flamingo data interleave` does all of that
//! once and writes the format `documents`, which is also much faster to read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Format, Records, Source, SourceSpec, Unread, page};
use crate::DataError;
use crate::interleave::{Folder, ImageRules, PageFile, Picture, Piece, Place, examine, pages, read_page};
use crate::reject::{Reason, Reject};
use crate::sample::Sample;
use crate::store::{Location, Store};

/// The format `html`.
pub const FORMAT: Format = Format {
    name: "html",
    summary: "folders of HTML pages with their images (`flamingo data interleave` filters them first)",
    open: |spec, store| Ok(Box::new(Html::open(spec, store)?)),
};

/// Options of the format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The URL that the folder stands for, where pages name their images by whole URLs.
    pub base_url: Option<String>,
    /// Pages with fewer images are left out.
    pub min_images: usize,
    /// Images with a shorter side are left out; in pixels.
    pub min_side: u32,
    /// Images that are longer or wider than this many times their other side are left out.
    pub max_aspect: f64,
    /// The most bytes of a page.
    pub max_page_bytes: u64,
    /// The most bytes of an image.
    pub max_image_bytes: u64,
}

impl Default for Options {
    /// The paper's rules for images; at least 1 image a page, and pages of at most 16 MiB.
    fn default() -> Self {
        let ImageRules { min_side, max_aspect, max_bytes, .. } = ImageRules::default();
        Self {
            base_url: None,
            min_images: 1,
            min_side,
            max_aspect,
            max_page_bytes: 16 << 20,
            max_image_bytes: max_bytes,
        }
    }
}

/// Folders of pages.
struct Html {
    roots: Vec<Location>,
    sites: Vec<Site>,
    options: Options,
    store: Store,
}

/// A folder, its pages by name, and those whose names cannot be told.
#[derive(Clone)]
struct Site {
    root: PathBuf,
    folder: Arc<Folder>,
    pages: Arc<[PageFile]>,
    unnamed: Arc<[Reject]>,
}

impl Html {
    fn open(spec: &SourceSpec, store: &Store) -> Result<Self, DataError> {
        let options: Options = spec.options()?;
        let roots = store.list(&spec.paths)?;
        let mut sites = Vec::with_capacity(roots.len());
        for root in &roots {
            let Some(root) = root.path() else {
                return Err(spec.bad_option(format!("{root}: pages are read from a folder on this machine")));
            };
            let folder = Folder::new(root, options.base_url.as_deref())
                .map_err(|what| spec.bad_option(format!("`base_url`: {what}")))?;
            let (pages, unnamed) = pages(root)?;
            let (root, folder) = (root.to_owned(), Arc::new(folder));
            sites.push(Site { root, folder, pages: pages.into(), unnamed: unnamed.into() });
        }
        Ok(Self { roots, sites, options, store: store.clone() })
    }
}

impl Source for Html {
    fn shards(&self) -> &[Location] {
        &self.roots
    }

    fn open(&self, shard: usize, skip: usize) -> Result<Records, Reject> {
        let (site, options, store) = (self.sites[shard].clone(), self.options.clone(), self.store.clone());
        let all = site.pages.len() + site.unnamed.len();
        Ok(Box::new((skip..all).map(move |number| {
            let Some(file) = site.pages.get(number).cloned() else {
                return Err(site.unnamed[number - site.pages.len()].clone());
            };
            let bytes = file.path.metadata().map_or(0, |metadata| metadata.len());
            let (site, options, store) = (site.clone(), options.clone(), store.clone());
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            Ok(Unread::new(file.name.clone(), bytes, move || sample(&site, &file, &options, &store)))
        })))
    }
}

/// A page as a document.
fn sample(site: &Site, file: &PageFile, options: &Options, store: &Store) -> Result<Sample, Reject> {
    let mut sample = page::Page::new(site.root.display(), &file.name);
    let read = |path: &Path, limit| {
        store.read(&Location::from(path), limit).map_err(|error| match error.kind() {
            std::io::ErrorKind::FileTooLarge => (Reason::TooLarge, error.to_string()),
            _ => (Reason::Missing, error.to_string()),
        })
    };
    let html =
        read_page(file, options.max_page_bytes).map_err(|(reason, what)| sample.reject(reason, what))?;

    let rules = ImageRules {
        min_side: options.min_side,
        max_aspect: options.max_aspect,
        max_bytes: options.max_image_bytes,
        ..ImageRules::default()
    };
    // The place of each image in the sample; `None` if it is left out.
    let mut places = Vec::with_capacity(html.images.len());
    let (mut seen, mut filtered) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
    for image in &html.images {
        let name = image.addresses.first().map_or("", String::as_str);
        let found = match site.folder.find(&file.name, html.base.as_deref(), image) {
            Place::File(path) => read(&site.root.join(path), options.max_image_bytes),
            Place::Inline(bytes) => Ok(bytes),
            Place::Absent(_) => Err((Reason::Missing, "is not in the folder".to_owned())),
        };
        let picture = found.map(|bytes| (examine(&bytes, name, &rules), bytes));
        places.push(match picture {
            Ok((Picture::Good(facts), bytes)) => match seen.insert(facts.sum) {
                true => Some(sample.image(bytes)),
                false => {
                    *filtered.entry("Duplicate".to_owned()).or_default() += 1;
                    None
                }
            },
            Ok((Picture::Dropped(why), _)) => {
                *filtered.entry(format!("{why:?}")).or_default() += 1;
                None
            }
            Ok((Picture::Bad(reason, what), _)) | Err((reason, what)) => {
                sample.lose(reason, format!("image {name:.200}: {what}"));
                None
            }
        });
    }
    if !filtered.is_empty() {
        sample.lose(Reason::Filtered, format!("images left out: {filtered:?}"));
    }
    for piece in html.pieces(|image| places[image].is_some()) {
        match piece {
            Piece::Text(text) => sample.text(text),
            Piece::Image(image) => places[image].into_iter().for_each(|place| sample.show(place)),
        }
    }
    sample.finish(options.min_images)
}

#[cfg(test)]
mod tests {
    use ::image::{Rgba, RgbaImage};
    use serde_json::json;

    use crate::fixtures::png;
    use crate::source::testing::{outcomes, spec};
    use crate::store::Store;

    /// A picture of many colours.
    fn picture(width: u32, height: u32) -> Vec<u8> {
        png(&RgbaImage::from_fn(width, height, |x, y| {
            Rgba([(x * 3) as u8, (y * 3) as u8, (x * y) as u8, 255])
        }))
    }

    #[test]
    fn each_page_is_a_document() {
        let folder = tempfile::tempdir().unwrap();
        let (cow, dot) = (picture(70, 80), picture(20, 20));
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let latin = b"<p>K\xfche auf der gr\xfcnen Weide <img src=/cow.png>";
        let files: [(&str, &[u8]); 8] = [
            ("cow.png", &cow),
            ("dot.png", &dot),
            ("bad.png", b"no image"),
            (
                "a.html",
                b"<nav>Home</nav><p>A cow: <img src=cow.png> stands.<img src=cow.png><img src=dot.png>",
            ),
            ("b.html", b"<p>Words only.<img src=none.png>"),
            ("sub/c.html", latin),
            ("sub/d.html", b"\0\0\0\0"),
            ("e.htm", b"<p>Broken <img src=bad.png> and <img src=../cow.png> whole."),
        ];
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let size = cow.len();
        let expected = [
            format!("a.html: A cow:[{size}]stands. (filtered)"),
            "b.html: missing".to_owned(),
            format!("e.htm: Broken and[{size}]whole. (bad-image)"),
            format!("sub/c.html: Kühe auf der grünen Weide[{size}]"),
            "sub/d.html: bad-text".to_owned(),
        ];
        let read = outcomes(&spec("html", folder.path(), json!({})));
        assert_eq!(read, expected);
        let small = outcomes(&spec("html", folder.path(), json!({"max_page_bytes": 40})));
        assert_eq!(small[0], "a.html: too-large");
    }

    #[test]
    fn a_folder_without_pages_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = spec("html", folder.path(), json!({})).open(&Store::default()).err().unwrap().to_string();
        assert!(error.contains(".html"), "{error}");
    }
}
