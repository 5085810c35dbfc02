//! From an address on a page to a file in the folder of pages.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use url::Url;

use super::page::PageImage;
use super::report::ImageFilter;

/// Lenient about padding, as browsers are.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where pages are taken to come from if nothing is said: a name that is reserved for being nowhere.
const NOWHERE: &str = "http://pages.invalid/";

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, as its path below the folder of pages.
    File(String),
    /// In the page itself.
    Inline(Vec<u8>),
    /// Not here.
    Absent(ImageFilter),
}

/// A folder of pages, as its links see it.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    base: Url,
    is_named: bool,
}

impl Folder {
    /// The folder `root`, whose pages come from below `base`.
    ///
    /// # Errors
    ///
    /// In words, if `base` is no URL that others can be relative to.
    pub fn new(root: &Path, base: Option<&str>) -> Result<Self, String> {
        let text = base.unwrap_or(NOWHERE);
        let mut url = Url::parse(text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
        if url.cannot_be_a_base() {
            return Err(format!("{text:?} is no URL of a folder"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self { root: root.to_owned(), base: url, is_named: base.is_some() })
    }

    /// What a document calls its page: its URL if the folder's is known, its path if not.
    pub fn page_name(&self, page: &str) -> String {
        if self.is_named { self.page_url(page).into() } else { page.to_owned() }
    }

    fn page_url(&self, page: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(page.split('/'));
        }
        url
    }

    /// Finds an image of the page at the path `page`, whose `<base href>` is `base`.
    pub fn find(&self, page: &str, base: Option<&str>, image: &PageImage) -> Place {
        let mut url = self.page_url(page);
        if let Some(base) = base.and_then(|base| url.join(base).ok()) {
            url = base;
        }
        let mut absent = ImageFilter::Missing;
        for address in &image.addresses {
            match self.locate(&url, address) {
                Place::Absent(ImageFilter::Missing) => {}
                Place::Absent(why) => absent = why,
                found => return found,
            }
        }
        Place::Absent(absent)
    }

    fn locate(&self, page: &Url, address: &str) -> Place {
        let Ok(url) = page.join(address) else { return Place::Absent(ImageFilter::Missing) };
        if url.scheme() == "data" {
            return inline(url.as_str());
        }
        let inside = url.origin() == self.base.origin();
        let path = match url.path().strip_prefix(self.base.path()).filter(|_| inside) {
            Some(path) => path.to_owned(),
            // A mirror of several sites has a folder for each.
            None => format!("{}{}", url.host_str().unwrap_or_default(), url.path()),
        };
        let Some(path) = decode_path(&path) else { return Place::Absent(ImageFilter::Missing) };
        let named = url.query().map(|query| format!("{path}?{query}"));
        match named.into_iter().chain([path]).find(|path| self.root.join(path).is_file()) {
            Some(path) => Place::File(path),
            None if inside => Place::Absent(ImageFilter::Missing),
            None => Place::Absent(ImageFilter::External),
        }
    }
}

/// The bytes of a `data:` URL.
fn inline(url: &str) -> Place {
    let decoded = url.split_once(',').and_then(|(head, body)| {
        let body = percent_decode(body);
        match head.ends_with(";base64") {
            true => {
                let digits: Vec<u8> = body.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
                BASE64.decode(digits).ok()
            }
            false => Some(body),
        }
    });
    decoded.map_or(Place::Absent(ImageFilter::Missing), Place::Inline)
}

/// A relative path that stays below where it starts; `None` if it does not.
fn decode_path(path: &str) -> Option<String> {
    let path = String::from_utf8(percent_decode(path)).ok()?;
    let is_safe =
        |part: &str| !part.is_empty() && part != ".." && part != "." && !part.contains(['\0', '\\', ':']);
    path.split('/').all(is_safe).then_some(path)
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(folder: &Folder, page: &str, base: Option<&str>, address: &str) -> Place {
        let image = PageImage { at: 0, addresses: vec![address.to_owned()], alt: String::new() };
        folder.find(page, base, &image)
    }

    #[test]
    fn addresses_lead_to_files_below_the_folder() {
        let root = tempfile::tempdir().unwrap();
        for name in ["images/a b.png", "cdn.example/x.png?w=2", "secret.png"] {
            let path = root.path().join("site").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::fs::write(root.path().join("outside.png"), "x").unwrap();
        let folder = Folder::new(&root.path().join("site"), None).unwrap();
        let file = |path: &str| Place::File(path.to_owned());
        let missing = Place::Absent(ImageFilter::Missing);
        assert_eq!(find(&folder, "en/a.html", None, "../images/a%20b.png#top"), file("images/a b.png"));
        assert_eq!(find(&folder, "en/a.html", Some("/images/"), "a b.png"), file("images/a b.png"));
        assert_eq!(
            find(&folder, "a.html", None, "https://cdn.example/x.png?w=2"),
            file("cdn.example/x.png?w=2")
        );
        assert_eq!(
            find(&folder, "a.html", None, "https://cdn.example/y.png"),
            Place::Absent(ImageFilter::External)
        );
        for escape in
            ["../outside.png", "%2e%2e/outside.png", "..%2foutside.png", "images/..%2f..%2foutside.png"]
        {
            assert_eq!(find(&folder, "a.html", None, escape), missing, "{escape}");
        }
        let named = Folder::new(&root.path().join("site"), Some("https://example.org/docs")).unwrap();
        let address = "https://example.org/docs/images/a%20b.png";
        assert_eq!(find(&named, "en/a.html", None, address), file("images/a b.png"));
        assert_eq!(named.page_name("en/a b.html"), "https://example.org/docs/en/a%20b.html");
    }

    #[test]
    fn images_in_the_page() {
        let folder = Folder::new(Path::new("nowhere"), None).unwrap();
        let inline = |text: &[u8]| Place::Inline(text.to_vec());
        assert_eq!(find(&folder, "a.html", None, "data:image/png;base64,aGkh"), inline(b"hi!"));
        assert_eq!(find(&folder, "a.html", None, "data:image/svg+xml,%3Csvg/%3E"), inline(b"<svg/>"));
        assert_eq!(
            find(&folder, "a.html", None, "data:image/png;base64,***"),
            Place::Absent(ImageFilter::Missing)
        );
        assert!(Folder::new(Path::new("x"), Some("mailto:me")).is_err());
    }
}
