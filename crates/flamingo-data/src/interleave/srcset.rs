//! The addresses that an `<img>` may be found at: plain, in several sizes, or put where a script finds them.

use super::dom::{Dom, NodeId};

/// Where scripts that load images late keep the true address.
const LAZY: &[&str] = &[
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-hi-res-src",
    "data-actualsrc",
    "data-orig-file",
];

/// The same, for several sizes.
const LAZY_SETS: &[&str] = &["srcset", "data-srcset", "data-lazy-srcset"];

/// The addresses of an image, the best one first: the largest of several sizes, then what a script would load, then
/// what a browser without scripts shows. Formats that cannot be decoded, and placeholders in the page itself, go last.
pub(crate) fn addresses(dom: &Dom, image: NodeId) -> Vec<String> {
    let sets = LAZY_SETS.iter().filter_map(|name| dom.attribute(image, name));
    let mut found: Vec<&str> = sets.flat_map(largest_first).collect();
    found.extend(LAZY.iter().filter_map(|name| dom.attribute(image, name)));
    found.extend(dom.attribute(image, "src"));
    // In a `<picture>`, other formats and cuts come before the image.
    if let Some(parent) = dom.parent(image).filter(|&parent| dom.tag(parent) == Some("picture")) {
        let sources = dom.children(parent).filter(|&child| dom.tag(child) == Some("source"));
        let sets =
            sources.flat_map(|source| LAZY_SETS.iter().filter_map(move |name| dom.attribute(source, name)));
        found.extend(sets.flat_map(largest_first));
    }
    let mut addresses: Vec<String> = Vec::new();
    for address in found.into_iter().map(str::trim).filter(|address| !address.is_empty()) {
        if addresses.iter().all(|earlier| earlier != address) {
            addresses.push(address.to_owned());
        }
    }
    addresses.sort_by_key(|address| usefulness(address));
    addresses
}

/// 0 for a usual address, more for one that is probably of no use.
fn usefulness(address: &str) -> u8 {
    let path = address.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    match path.starts_with("data:") {
        true => 2,
        false => u8::from([".svg", ".avif", ".jxl", ".heic"].iter().any(|ending| path.ends_with(ending))),
    }
}

/// The addresses of a `srcset`, the largest (`640w`, `2x`) first.
fn largest_first(set: &str) -> Vec<&str> {
    let mut candidates: Vec<(f64, &str)> = Vec::new();
    let mut rest = set;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            break;
        }
        // An address ends at a space, so that it may hold commas; one at its end ends the candidate.
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (address, after) = rest.split_at(end);
        if address.ends_with(',') {
            candidates.push((1.0, address.trim_end_matches(',')));
            rest = after;
            continue;
        }
        let (descriptor, after) = after.split_once(',').unwrap_or((after, ""));
        let size = descriptor.split_ascii_whitespace().next().unwrap_or("1x");
        let size = size.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().unwrap_or(1.0);
        candidates.push((size, address));
        rest = after;
    }
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
    candidates.into_iter().map(|(_, address)| address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_size_comes_first() {
        assert_eq!(largest_first("a.png 320w, b.png 1280w,c.png 640w"), ["b.png", "c.png", "a.png"]);
        assert_eq!(largest_first(" one.png, two,2.png 2x "), ["two,2.png", "one.png"]);
        assert!(largest_first(" , ,").is_empty());
    }
}
