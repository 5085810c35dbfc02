//! A page's contents: its text in reading order, and where in it the images are.

use super::boilerplate::Boilerplate;
use super::dom::{Dom, NodeId, ROOT, Step};
use super::flow::Flow;
use super::{charset, srcset};
use crate::reject::Reason;

/// Elements that begin and end a line.
const LINES: &[&str] = &[
    "div",
    "dt",
    "dd",
    "caption",
    "figcaption",
    "tbody",
    "thead",
    "tfoot",
    "legend",
    "summary",
    "address",
    "center",
    "body",
    "html",
];

/// Elements with a blank line before and after.
const PARAGRAPHS: &[&str] = &[
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "figure",
    "table",
    "ul",
    "ol",
    "dl",
    "section",
    "article",
    "main",
    "header",
    "details",
    "fieldset",
    "hr",
    "hgroup",
];

/// The contents of an HTML page, without its boilerplate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The `<title>`; empty if there is none.
    pub title: String,
    /// `<base href>`: what the page's links are relative to, if not to the page.
    pub base: Option<String>,
    /// The text: paragraphs with a blank line between, list items with bullets, table rows as lines.
    pub text: String,
    /// The images, in reading order.
    pub images: Vec<PageImage>,
}

/// An image of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageImage {
    /// The byte of the page's text before which it stands.
    pub at: usize,
    /// Addresses as they are on the page (`data:` ones too), the best one first.
    pub addresses: Vec<String>,
    /// The alternative text; empty if there is none.
    pub alt: String,
}

/// A piece of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text without spaces around it; never empty.
    Text(&'a str),
    /// An image, by its place in [`Page::images`].
    Image(usize),
}

impl Page {
    /// Reads a page: its encoding, its tree, its contents.
    ///
    /// ```
    /// use flamingo_data::interleave::{Page, Piece};
    ///
    /// let page = Page::read(b"<nav>Home</nav><p>A cat: <img src=cat.png alt=tabby> asleep.").unwrap();
    /// let pieces: Vec<Piece<'_>> = page.pieces(|_| true).collect();
    /// assert_eq!(pieces, [Piece::Text("A cat:"), Piece::Image(0), Piece::Text("asleep.")]);
    /// ```
    ///
    /// # Errors
    ///
    /// [`Reason::BadText`] on bytes that are no text, [`Reason::BadHtml`] on a page that passes a limit
    /// ([`MAX_DEPTH`](super::MAX_DEPTH) and others), with words about it.
    pub fn read(bytes: &[u8]) -> Result<Self, (Reason, String)> {
        let html = charset::decode(bytes).map_err(|what| (Reason::BadText, what))?;
        let dom = Dom::parse(&html).map_err(|what| (Reason::BadHtml, what))?;
        Ok(Reader::new(&dom).read())
    }

    /// The page as texts and those of its images that are to be kept; where an image is not, the text goes on as if it
    /// had never been there.
    pub fn pieces(&self, keep: impl Fn(usize) -> bool) -> impl Iterator<Item = Piece<'_>> {
        let kept = (0..self.images.len()).filter(move |&image| keep(image));
        let ends = kept.map(|image| (self.images[image].at, Some(image)));
        let mut start = 0;
        ends.chain([(self.text.len(), None)]).flat_map(move |(end, image)| {
            let text = self.text[start..end].trim();
            start = end;
            let text = (!text.is_empty()).then_some(Piece::Text(text));
            text.into_iter().chain(image.map(Piece::Image))
        })
    }
}

/// A list that is being read.
struct List {
    is_ordered: bool,
    items: usize,
    first: usize,
}

/// Walks over a page once.
struct Reader<'a> {
    dom: &'a Dom,
    boilerplate: Boilerplate<'a>,
    flow: Flow,
    lists: Vec<List>,
    /// Open `<noscript>`s: their images are taken (lazy images have their true address there), their text is not.
    muted: usize,
    page: Page,
}

impl<'a> Reader<'a> {
    fn new(dom: &'a Dom) -> Self {
        let boilerplate = Boilerplate::new(dom);
        Self { dom, boilerplate, flow: Flow::default(), lists: Vec::new(), muted: 0, page: Page::default() }
    }

    fn read(mut self) -> Page {
        let mut step = Some(Step::Enter(ROOT));
        while let Some(mut at) = step {
            match at {
                Step::Enter(node) if self.boilerplate.drops(node) => {
                    if self.dom.tag(node) == Some("head") {
                        self.head(node);
                    }
                    // A word before and a word after stay two words.
                    self.flow.push(" ");
                    at = Step::Leave(node);
                }
                Step::Enter(node) => match (self.dom.tag(node), self.dom.text(node)) {
                    (Some(tag), _) => self.enter(node, tag),
                    (_, Some(text)) if self.muted == 0 => self.flow.push(text),
                    _ => {}
                },
                Step::Leave(node) => self.dom.tag(node).into_iter().for_each(|tag| self.leave(tag)),
            }
            step = self.dom.after(at);
        }
        self.page.text = self.flow.finish();
        self.page
    }

    fn head(&mut self, head: NodeId) {
        for node in self.dom.children(head) {
            match self.dom.tag(node) {
                Some("title") if self.page.title.is_empty() => {
                    let texts: String =
                        self.dom.children(node).filter_map(|child| self.dom.text(child)).collect();
                    self.page.title = texts.split_whitespace().collect::<Vec<_>>().join(" ");
                }
                Some("base") if self.page.base.is_none() => {
                    self.page.base = self.dom.attribute(node, "href").map(str::to_owned);
                }
                _ => {}
            }
        }
    }

    fn enter(&mut self, node: NodeId, tag: &str) {
        self.block(tag);
        match tag {
            "img" | "amp-img" => self.image(node),
            "br" => self.flow.line_end(),
            "pre" | "listing" | "xmp" => self.flow.preformatted(),
            "q" => self.flow.push("“"),
            "tr" => self.flow.row(),
            "td" | "th" => self.flow.cell(),
            "noscript" => self.muted += 1,
            "ul" | "ol" => {
                let first =
                    self.dom.attribute(node, "start").and_then(|start| start.parse().ok()).unwrap_or(1);
                self.lists.push(List { is_ordered: tag == "ol", items: 0, first });
            }
            "li" => {
                let depth = self.lists.len().saturating_sub(1);
                let stray = &mut List { is_ordered: false, items: 1, first: 1 };
                let list = self.lists.last_mut().unwrap_or(stray);
                let mark = match list.is_ordered {
                    true => format!("{}.", list.first.saturating_add(list.items)),
                    false => "-".to_owned(),
                };
                list.items += 1;
                self.flow.item(&mark, depth, list.items == 1);
            }
            _ => {}
        }
    }

    fn leave(&mut self, tag: &str) {
        match tag {
            "pre" | "listing" | "xmp" => self.preformatted_end(),
            "q" => self.flow.push("”"),
            "tr" => self.flow.row_end(),
            "noscript" => self.muted -= 1,
            "li" => self.flow.item_end(),
            "ul" | "ol" => drop(self.lists.pop()),
            _ => {}
        }
        self.block(tag);
    }

    /// Spaces at the end of preformatted text are cut, also before an image. At once: what comes next must not get between.
    fn preformatted_end(&mut self) {
        self.flow.preformatted_end();
        let end = self.flow.len();
        let behind = self.page.images.iter_mut().rev().take_while(|image| image.at > end);
        behind.for_each(|image| image.at = end);
    }

    /// Line ends around a block.
    fn block(&mut self, tag: &str) {
        // A list within a list belongs to its item; this one is not yet, or no longer, among the open ones.
        let is_nested = matches!(tag, "ul" | "ol") && !self.lists.is_empty();
        if is_nested || LINES.contains(&tag) {
            self.flow.break_line(1);
        } else if PARAGRAPHS.contains(&tag) {
            self.flow.break_line(2);
        }
    }

    fn image(&mut self, node: NodeId) {
        let addresses = srcset::addresses(self.dom, node);
        if !addresses.is_empty() {
            let alt = self.dom.attribute(node, "alt").unwrap_or_default();
            let alt = alt.split_whitespace().collect::<Vec<_>>().join(" ");
            self.page.images.push(PageImage { at: self.flow.len(), addresses, alt });
        }
    }
}
