//! The sentences of composed pages: short, varied, lower case.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A data set's group name as words: "Animals & Nature" becomes "animals and nature".
pub(crate) fn title(name: &str) -> String {
    let words: Vec<String> = name
        .split(|letter: char| letter.is_whitespace() || letter == '-' || letter == '_')
        .filter(|word| !word.is_empty())
        .map(|word| if word == "&" { "and".to_owned() } else { word.to_lowercase() })
        .collect();
    words.join(" ")
}

/// A page's first words.
pub(crate) fn heading(title: &str, rng: &mut impl Rng) -> String {
    match rng.random_range(0..7) {
        0 => format!("{title}."),
        1 => format!("things about {title}."),
        2 => format!("pictures of {title}:"),
        3 => format!("all about {title}."),
        4 => format!("a page on {title}."),
        5 => format!("some {title} pictures:"),
        _ => format!("my collection: {title}."),
    }
}

/// A paragraph that names other things of the theme.
pub(crate) fn introduction(title: &str, names: &[&str], rng: &mut impl Rng) -> String {
    let names = listing(names);
    match rng.random_range(0..4) {
        0 => format!("think of {names}."),
        1 => format!("{title} can mean {names}."),
        2 => format!("people look for {names}."),
        _ => format!("there is more, such as {names}."),
    }
}

/// A sentence that states a name, early or at its end, perhaps with keywords.
pub(crate) fn sentence(name: &str, keywords: &[String], rng: &mut impl Rng) -> String {
    let some = some_keywords(keywords, 3, rng);
    match rng.random_range(0..9) {
        0 => format!("{name}."),
        1 => format!("this is {name}."),
        2 => format!("a picture of {name}."),
        3 => format!("here you see {name}."),
        4 => format!("look: {name}!"),
        5 => format!("it shows {name}."),
        _ if some.is_empty() => format!("{name}, no more."),
        6 => format!("{name}, for {}.", listing(&some)),
        7 => format!("{name} is about {}.", listing(&some)),
        _ => format!("{name} goes with {}.", listing(&some)),
    }
}

/// "cow face: animal, cow, moo": a name and some keywords in random order.
pub(crate) fn with_keywords(name: &str, keywords: &[String], rng: &mut impl Rng) -> String {
    let some = some_keywords(keywords, keywords.len(), rng);
    if some.is_empty() { name.to_owned() } else { format!("{name}: {}", some.join(", ")) }
}

/// A remark about the thing that was just named.
pub(crate) fn aside(keywords: &[String], rng: &mut impl Rng) -> String {
    let some = some_keywords(keywords, 4, rng);
    if some.is_empty() {
        return "that is all there is to say.".to_owned();
    }
    let some = listing(&some);
    match rng.random_range(0..4) {
        0 => format!("people also say {some}."),
        1 => format!("other words are {some}."),
        2 => format!("it has to do with {some}."),
        _ => format!("you find it under {some}."),
    }
}

/// Every word that a page has beside its names and keywords.
pub(crate) fn all_words() -> String {
    // Each wording has one chance in nine, or more.
    const DRAWS: u64 = 300;
    let mut text = String::new();
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    for _ in 0..DRAWS {
        for keywords in [&[][..], &["-".to_owned()]] {
            let sentences = [sentence("-", keywords, rng), aside(keywords, rng)];
            let opening = [heading("-", rng), introduction("-", &["-", "-"], rng)];
            for part in sentences.into_iter().chain(opening) {
                text += &part;
                text.push(' ');
            }
        }
    }
    text
}

/// At most `most` keywords in random order, at least one if there is any.
fn some_keywords<'a>(keywords: &'a [String], most: usize, rng: &mut impl Rng) -> Vec<&'a str> {
    let most = most.min(keywords.len());
    let count = if most == 0 { 0 } else { rng.random_range(1..=most) };
    keywords.choose_multiple(rng, count).map(String::as_str).collect()
}

/// "a", "a and b", "a, b and c".
fn listing(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::rng;

    #[test]
    fn titles_are_plain_words() {
        assert_eq!(title("Smileys & Emotion"), "smileys and emotion");
        assert_eq!(title("face-smiling"), "face smiling");
    }

    #[test]
    fn lists_are_joined_as_people_do() {
        assert_eq!(listing(&[]), "");
        assert_eq!(listing(&["a"]), "a");
        assert_eq!(listing(&["a", "b"]), "a and b");
        assert_eq!(listing(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn every_sentence_states_the_name_with_and_without_keywords() {
        let mut rng = rng(0);
        for keywords in [vec![], vec!["moo".to_owned(), "milk".to_owned()]] {
            for _ in 0..100 {
                assert!(sentence("cow face", &keywords, &mut rng).contains("cow face"));
                assert!(with_keywords("cow face", &keywords, &mut rng).starts_with("cow face"));
                assert!(!aside(&keywords, &mut rng).contains("  "));
            }
        }
    }
}
