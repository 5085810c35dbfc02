//! HTML text to a tree of nodes, in an arena and within limits.
//!
//! The parser is html5ever, which builds the tree that a browser would. The tree is an arena of our own, not
//! `scraper`'s, for two reasons: it knows each node's depth while it grows, so that a page which nests elements without
//! end is given up at once (the parser's own work is proportional to depth times length); and it is dropped as one
//! vector.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{Attribute, ParseOpts, QualName, parse_document};

/// The deepest nesting that is followed; browsers stop at 512.
pub const MAX_DEPTH: u32 = 1_000;

/// The most nodes that a page may have.
pub const MAX_NODES: usize = 1_000_000;

/// The most attributes that a tag may have: the parser compares each of them with all before it.
pub const MAX_ATTRIBUTES: usize = 20_000;

/// Bytes given to the parser between two looks at the limits.
const STEP: usize = 4 << 10;

/// A node's place in the arena.
pub(crate) type NodeId = usize;

/// The root: the document itself.
pub(crate) const ROOT: NodeId = 0;

/// A page as a tree.
#[derive(Debug)]
pub(crate) struct Dom {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    data: Data,
    parent: Option<NodeId>,
    previous: Option<NodeId>,
    next: Option<NodeId>,
    first: Option<NodeId>,
    last: Option<NodeId>,
    depth: u32,
}

#[derive(Debug)]
enum Data {
    Element {
        name: QualName,
        attributes: Vec<Attribute>,
    },
    Text(StrTendril),
    /// The document, comments, instructions, the contents of a `<template>`: nothing that a page shows.
    Other,
}

/// A step of a walk over the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Before a node's children.
    Enter(NodeId),
    /// After a node's children.
    Leave(NodeId),
}

impl Dom {
    /// Parses `html`, whatever it is.
    ///
    /// # Errors
    ///
    /// In words, if the page passes [`MAX_DEPTH`], [`MAX_NODES`] or [`MAX_ATTRIBUTES`].
    pub fn parse(html: &str) -> Result<Self, String> {
        check_attributes(html)?;
        // Without scripts, as nothing here runs them: what is in a `<noscript>` is then parsed too.
        let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
        let mut parser = parse_document(Sink::new(), ParseOpts { tree_builder, ..ParseOpts::default() });
        let mut rest = html;
        while !rest.is_empty() {
            let (step, after) = rest.split_at(rest.ceil_char_boundary(STEP.min(rest.len())));
            parser.process(StrTendril::from(step));
            parser.tokenizer.sink.sink.check()?;
            rest = after;
        }
        Ok(parser.finish())
    }

    /// An element's name in lower case; `None` if the node is no HTML or SVG element.
    pub fn tag(&self, node: NodeId) -> Option<&str> {
        match &self.nodes[node].data {
            Data::Element { name, .. } => Some(&*name.local),
            _ => None,
        }
    }

    /// The value of an element's attribute.
    pub fn attribute(&self, node: NodeId, wanted: &str) -> Option<&str> {
        match &self.nodes[node].data {
            Data::Element { attributes, .. } => {
                let found = attributes.iter().find(|attribute| &*attribute.name.local == wanted);
                found.map(|attribute| &*attribute.value)
            }
            _ => None,
        }
    }

    /// A text node's text.
    pub fn text(&self, node: NodeId) -> Option<&str> {
        match &self.nodes[node].data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The node that a node is in.
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node].parent
    }

    /// The children of a node, in order.
    pub fn children(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.nodes[node].first, |&child| self.nodes[child].next)
    }

    /// Nodes in the arena: identifiers are below it.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The step after `step` in a walk over the whole tree; `None` after the root was left.
    ///
    /// To pass over a node's children, go on from its `Leave`.
    pub fn after(&self, step: Step) -> Option<Step> {
        match step {
            Step::Enter(node) => Some(self.nodes[node].first.map_or(Step::Leave(node), Step::Enter)),
            Step::Leave(ROOT) => None,
            Step::Leave(node) => {
                self.nodes[node].next.map(Step::Enter).or(self.nodes[node].parent.map(Step::Leave))
            }
        }
    }

    fn push(&mut self, data: Data) -> NodeId {
        let node = Node { data, parent: None, previous: None, next: None, first: None, last: None, depth: 0 };
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn detach(&mut self, node: NodeId) {
        let Node { parent, previous, next, .. } = self.nodes[node];
        match previous {
            Some(previous) => self.nodes[previous].next = next,
            None => parent.into_iter().for_each(|parent| self.nodes[parent].first = next),
        }
        match next {
            Some(next) => self.nodes[next].previous = previous,
            None => parent.into_iter().for_each(|parent| self.nodes[parent].last = previous),
        }
        let node = &mut self.nodes[node];
        (node.parent, node.previous, node.next) = (None, None, None);
    }

    /// Puts a detached node under `parent`, before its child `before` or at its end. Returns the node's depth; the
    /// depths below it are those of when they were put there, which is near enough for a limit.
    fn attach(&mut self, node: NodeId, parent: NodeId, before: Option<NodeId>) -> u32 {
        self.detach(node);
        let previous = match before {
            Some(before) => self.nodes[before].previous.replace(node),
            None => self.nodes[parent].last.replace(node),
        };
        match previous {
            Some(previous) => self.nodes[previous].next = Some(node),
            None => self.nodes[parent].first = Some(node),
        }
        let depth = self.nodes[parent].depth + 1;
        let node = &mut self.nodes[node];
        (node.parent, node.previous, node.next, node.depth) = (Some(parent), previous, before, depth);
        depth
    }

    /// Puts text under `parent`, as part of the text before it if there is one.
    fn attach_text(&mut self, text: &StrTendril, parent: NodeId, before: Option<NodeId>) {
        let previous = match before {
            Some(before) => self.nodes[before].previous,
            None => self.nodes[parent].last,
        };
        if let Some(Data::Text(earlier)) = previous.map(|previous| &mut self.nodes[previous].data) {
            earlier.push_tendril(text);
            return;
        }
        let node = self.push(Data::Text(text.clone()));
        self.attach(node, parent, before);
    }
}

/// Refuses a tag with very many attributes before the parser sees it. Counted are the spaces, slashes and
/// quoted values of a tag, which are at least as many as its attributes. Scripts are not told from tags, so this is a
/// guard against the common case, under which the limit to a page's size stands.
fn check_attributes(html: &str) -> Result<(), String> {
    let (mut in_tag, mut count) = (false, 0);
    // The quote that ends the value at hand, and the last byte that is no space.
    let (mut quote, mut last) = (None, 0);
    let mut bytes = html.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (_, Some(open)) if byte != open => continue,
            (_, Some(_)) => quote = None,
            (b'<', None) if !in_tag => {
                (in_tag, count) = (bytes.peek().is_some_and(|next| next.is_ascii_alphabetic()), 0);
            }
            (b'>', None) => in_tag = false,
            (b'"' | b'\'', None) if in_tag && last == b'=' => (quote, count) = (Some(byte), count + 1),
            (b' ' | b'\n' | b'\t' | b'\r' | b'\x0c' | b'/', None) if in_tag => {
                count += 1;
                continue;
            }
            _ => {}
        }
        last = byte;
        if in_tag && count > MAX_ATTRIBUTES {
            return Err(format!("a tag has more than {MAX_ATTRIBUTES} attributes"));
        }
    }
    Ok(())
}

/// What the parser builds the tree with.
struct Sink {
    dom: RefCell<Dom>,
    deepest: Cell<u32>,
}

impl Sink {
    fn new() -> Self {
        let mut dom = Dom { nodes: Vec::new() };
        dom.push(Data::Other);
        Self { dom: RefCell::new(dom), deepest: Cell::new(0) }
    }

    fn check(&self) -> Result<(), String> {
        if self.deepest.get() > MAX_DEPTH {
            return Err(format!("elements are nested more than {MAX_DEPTH} deep"));
        }
        match self.dom.borrow().len() > MAX_NODES {
            true => Err(format!("the page has more than {MAX_NODES} nodes")),
            false => Ok(()),
        }
    }

    fn put(&self, child: NodeOrText<NodeId>, parent: NodeId, before: Option<NodeId>) {
        let mut dom = self.dom.borrow_mut();
        match child {
            NodeOrText::AppendNode(node) => {
                let depth = dom.attach(node, parent, before);
                self.deepest.set(self.deepest.get().max(depth));
            }
            NodeOrText::AppendText(text) => dom.attach_text(&text, parent, before),
        }
    }
}

impl TreeSink for Sink {
    type Handle = NodeId;
    type Output = Dom;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Dom {
        self.dom.into_inner()
    }

    fn parse_error(&self, _message: Cow<'static, str>) {}

    fn get_document(&self) -> NodeId {
        ROOT
    }

    fn elem_name<'a>(&'a self, target: &'a NodeId) -> Ref<'a, QualName> {
        Ref::map(self.dom.borrow(), |dom| match &dom.nodes[*target].data {
            Data::Element { name, .. } => name,
            _ => unreachable!("the parser asks for names of elements only"),
        })
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _flags: ElementFlags) -> NodeId {
        self.dom.borrow_mut().push(Data::Element { name, attributes })
    }

    fn create_comment(&self, _text: StrTendril) -> NodeId {
        self.dom.borrow_mut().push(Data::Other)
    }

    fn create_pi(&self, _target: StrTendril, _data: StrTendril) -> NodeId {
        self.dom.borrow_mut().push(Data::Other)
    }

    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        self.put(child, *parent, None);
    }

    fn append_based_on_parent_node(&self, element: &NodeId, previous: &NodeId, child: NodeOrText<NodeId>) {
        let parent = self.dom.borrow().parent(*element);
        match parent {
            Some(parent) => self.put(child, parent, Some(*element)),
            None => self.put(child, *previous, None),
        }
    }

    fn append_doctype_to_document(&self, _name: StrTendril, _public: StrTendril, _system: StrTendril) {}

    /// A node of its own, which is not in the tree: what is in a template is not shown.
    fn get_template_contents(&self, _target: &NodeId) -> NodeId {
        self.dom.borrow_mut().push(Data::Other)
    }

    fn same_node(&self, x: &NodeId, y: &NodeId) -> bool {
        x == y
    }

    fn set_quirks_mode(&self, _mode: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &NodeId, child: NodeOrText<NodeId>) {
        let parent = self.dom.borrow().parent(*sibling);
        if let Some(parent) = parent {
            self.put(child, parent, Some(*sibling));
        }
    }

    fn add_attrs_if_missing(&self, target: &NodeId, new: Vec<Attribute>) {
        if let Data::Element { attributes, .. } = &mut self.dom.borrow_mut().nodes[*target].data {
            for attribute in new {
                if attributes.iter().all(|old| old.name != attribute.name) {
                    attributes.push(attribute);
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &NodeId) {
        self.dom.borrow_mut().detach(*target);
    }

    fn reparent_children(&self, node: &NodeId, new_parent: &NodeId) {
        let mut dom = self.dom.borrow_mut();
        while let Some(child) = dom.nodes[*node].first {
            let depth = dom.attach(child, *new_parent, None);
            self.deepest.set(self.deepest.get().max(depth));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(dom: &Dom) -> String {
        let (mut out, mut step) = (String::new(), Some(Step::Enter(ROOT)));
        while let Some(at) = step {
            match at {
                Step::Enter(node) => match (dom.tag(node), dom.text(node)) {
                    (Some(tag), _) => out += &format!("<{tag}>"),
                    (_, Some(text)) => out += text,
                    _ => {}
                },
                Step::Leave(node) => out += &dom.tag(node).map_or(String::new(), |tag| format!("</{tag}>")),
            }
            step = dom.after(at);
        }
        out
    }

    #[test]
    fn a_page_is_the_tree_that_a_browser_builds() {
        let html = "<!DOCTYPE html><p>one<p>two &amp; <b>3<i>4</b>5</i><table>lost<tr><td>x</table>";
        assert_eq!(
            outline(&Dom::parse(html).unwrap()),
            "<html><head></head><body><p>one</p><p>two & <b>3<i>4</i></b><i>5</i></p>\
             lost<table><tbody><tr><td>x</td></tr></tbody></table></body></html>"
        );
        assert_eq!(
            outline(&Dom::parse("<template><p>hidden</template>x").unwrap()).matches("hidden").count(),
            0
        );
    }

    #[test]
    fn what_would_take_too_long_is_given_up_at_once() {
        let deep = "<div>".repeat(1_000_000);
        assert!(Dom::parse(&deep).unwrap_err().contains("deep"));
        let formats: String = (0..200_000).map(|n| format!("<p><font size={n}>")).collect();
        assert!(Dom::parse(&formats).is_err());
        let attributes: String = (0..100_000).map(|n| format!(" a{n}=\"{n} > {n}\"")).collect();
        assert!(Dom::parse(&format!("<a{attributes}>")).unwrap_err().contains("attributes"));
        let broad = "<br>".repeat(1_100_000);
        assert!(Dom::parse(&broad).unwrap_err().contains("nodes"));
    }

    #[test]
    fn nesting_within_the_limit_is_read() {
        let deep = format!("{}x{}", "<div>".repeat(900), "</div>".repeat(900));
        assert!(outline(&Dom::parse(&deep).unwrap()).contains("<div>x</div>"));
    }
}
