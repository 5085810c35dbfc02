//! Which parts of a page are not its contents: menus, footers, forms, cookie notices, lists of links.
//!
//! A part goes by what it is (its tag or role), by what its author calls it (class and id), or because nearly all its
//! text is links. What holds most of a page's text is never taken for boilerplate by its name alone: some sites put
//! `class="with-sidebar"` on everything.

use super::dom::{Dom, NodeId, ROOT, Step};

/// Elements that show no text of the page, or controls only.
const UNSEEN: &[&str] = &[
    "script", "style", "template", "head", "svg", "math", "canvas", "object", "embed", "iframe", "frame",
    "audio", "video", "map", "select", "datalist", "textarea", "input", "button", "dialog", "progress",
    "meter", "title",
];

/// Elements that are beside the contents by the standard's own words.
const BESIDE: &[&str] = &["nav", "footer", "aside", "menu"];

/// Roles of parts that are beside the contents.
const ROLES: &[&str] = &[
    "navigation",
    "banner",
    "contentinfo",
    "search",
    "complementary",
    "dialog",
    "alertdialog",
    "menu",
    "menubar",
    "toolbar",
    "tablist",
];

/// Elements that are judged by their class and id; never a heading, a figure or an article.
const NAMED: &[&str] = &[
    "div", "section", "header", "form", "ul", "ol", "dl", "table", "p", "span", "li", "td", "tr", "center",
    "details",
];

/// Words that mark boilerplate as any part of a class, or as a whole id.
const WORDS: &[&str] = &[
    "nav",
    "navbar",
    "navbox",
    "navigation",
    "navheader",
    "navfooter",
    "navlinks",
    "menu",
    "breadcrumb",
    "breadcrumbs",
    "sidebar",
    "footer",
    "masthead",
    "cookie",
    "cookies",
    "consent",
    "gdpr",
    "advert",
    "advertisement",
    "ads",
    "adsense",
    "sponsored",
    "promo",
    "newsletter",
    "subscribe",
    "social",
    "share",
    "sharing",
    "related",
    "recommended",
    "comments",
    "disqus",
    "pagination",
    "pager",
    "popup",
    "modal",
    "toc",
    "toolbar",
    "tagcloud",
    "catlinks",
    "editsection",
    "printfooter",
    "noprint",
    "searchbox",
    "skiplink",
];

/// Whole classes and ids that mark boilerplate.
const NAMES: &[&str] = &[
    "header",
    "site-header",
    "page-header",
    "global-header",
    "banner",
    "site-banner",
    "topbar",
    "top-bar",
    "skip-link",
    "sr-only",
    "visually-hidden",
    "screen-reader-text",
];

/// Elements that are dropped if they are little else than links.
const LISTS: &[&str] = &["ul", "ol", "dl", "table", "div", "section", "p", "center"];

/// The share of a part's text that is links, from which it is a list of links.
const LINK_DENSITY: f64 = 0.7;

/// So many links make a list.
const LINKS: u32 = 3;

/// What a part holds, its own parts included.
#[derive(Debug, Clone, Copy, Default)]
struct Contents {
    /// Characters that are no spaces.
    text: u32,
    /// Those of them that are in links.
    linked: u32,
    links: u32,
    images: u32,
}

/// Judges the parts of one page.
#[derive(Debug)]
pub(crate) struct Boilerplate<'a> {
    dom: &'a Dom,
    contents: Vec<Contents>,
}

impl<'a> Boilerplate<'a> {
    /// Counts what each part of a page holds.
    pub fn new(dom: &'a Dom) -> Self {
        let mut contents = vec![Contents::default(); dom.len()];
        let (mut step, mut links) = (Some(Step::Enter(ROOT)), 0);
        while let Some(mut at) = step {
            match at {
                Step::Enter(node) if is_unseen(dom, node) => at = Step::Leave(node),
                Step::Enter(node) => {
                    let own = &mut contents[node];
                    match dom.tag(node) {
                        Some("a") if dom.attribute(node, "href").is_some() => {
                            (links, own.links) = (links + 1, 1)
                        }
                        Some("img" | "amp-img") => own.images = 1,
                        _ => {}
                    }
                    let text = dom.text(node).unwrap_or_default();
                    own.text = text.chars().filter(|c| !c.is_whitespace()).count() as u32;
                    own.linked = if links > 0 { own.text } else { 0 };
                }
                Step::Leave(node) => {
                    let own = contents[node];
                    links -= own.links.min(u32::from(dom.tag(node) == Some("a")));
                    if let Some(parent) = dom.parent(node) {
                        let all = &mut contents[parent];
                        all.text += own.text;
                        all.linked += own.linked;
                        all.links += own.links;
                        all.images += own.images;
                    }
                }
            }
            step = dom.after(at);
        }
        Self { dom, contents }
    }

    /// Whether an element, with all that is in it, is no part of the page's contents.
    pub fn drops(&self, node: NodeId) -> bool {
        let Some(tag) = self.dom.tag(node) else { return false };
        is_unseen(self.dom, node)
            || (BESIDE.contains(&tag) && !self.is_most(node))
            || (tag == "header" && !self.is_within(node, &["article", "main", "section", "figure"]))
            || (!self.is_most(node)
                && (tag == "form" || self.is_hidden(node) || self.has_role(node) || self.has_name(node, tag)))
            || self.is_link_list(node, tag)
    }

    /// Whether a part holds more than half of the page's text.
    fn is_most(&self, node: NodeId) -> bool {
        self.contents[node].text * 2 > self.contents[ROOT].text
    }

    fn is_within(&self, node: NodeId, tags: &[&str]) -> bool {
        let parents = std::iter::successors(self.dom.parent(node), |&parent| self.dom.parent(parent));
        parents.into_iter().any(|parent| self.dom.tag(parent).is_some_and(|tag| tags.contains(&tag)))
    }

    fn is_hidden(&self, node: NodeId) -> bool {
        let style = self.dom.attribute(node, "style").unwrap_or_default();
        let style: String =
            style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        self.dom.attribute(node, "hidden").is_some()
            || self.dom.attribute(node, "aria-hidden") == Some("true")
            || style.contains("display:none")
            || style.contains("visibility:hidden")
    }

    fn has_role(&self, node: NodeId) -> bool {
        self.dom.attribute(node, "role").is_some_and(|role| ROLES.contains(&role))
    }

    fn has_name(&self, node: NodeId, tag: &str) -> bool {
        if !NAMED.contains(&tag) {
            return false;
        }
        let classes = self.dom.attribute(node, "class").unwrap_or_default().to_ascii_lowercase();
        let mut names = classes.split_ascii_whitespace();
        // Generators of documentation make a section's id from its heading, which may well be "Navigation".
        let is_section = tag == "section" || names.clone().any(|name| name.starts_with("sect"));
        let id =
            self.dom.attribute(node, "id").filter(|_| !is_section).unwrap_or_default().to_ascii_lowercase();
        let marked =
            |name: &str| NAMES.contains(&name) || name.split(['-', '_']).any(|word| WORDS.contains(&word));
        names.any(marked) || NAMES.contains(&id.as_str()) || WORDS.contains(&id.as_str())
    }

    fn is_link_list(&self, node: NodeId, tag: &str) -> bool {
        let Contents { text, linked, links, images } = self.contents[node];
        LISTS.contains(&tag)
            && links >= LINKS
            && images * 2 < links
            && f64::from(linked) > LINK_DENSITY * f64::from(text)
    }
}

fn is_unseen(dom: &Dom, node: NodeId) -> bool {
    dom.tag(node).is_some_and(|tag| UNSEEN.contains(&tag))
}
