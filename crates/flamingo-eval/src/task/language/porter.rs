//! Porter's stemmer (1980) as nltk has it (`nltk/stem/porter.py`, its own extensions on): what is left of a word without endings.

/// Words that the rules get wrong.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Steps 2 and 3 where there is a vowel and a consonant behind it before the ending.
const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

const STEP_3: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// Step 4, where there are two such pairs before the ending.
const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism",
    "ate", "iti", "ous", "ive", "ize",
];

/// The stem of a word.
pub fn stem(word: &str) -> String {
    let word = word.to_lowercase();
    if let Some((_, stem)) = IRREGULAR.iter().find(|(known, _)| *known == word) {
        return (*stem).to_owned();
    }
    let mut letters: Vec<char> = word.chars().collect();
    if letters.len() <= 2 {
        return word;
    }
    plurals(&mut letters);
    participles(&mut letters);
    let stem = without(&letters, "y");
    if stem.is_some_and(|stem| stem.len() > 1 && consonants(stem)[stem.len() - 1]) {
        replace(&mut letters, 1, "i");
    }
    step_2(&mut letters);
    first_that_fits(&mut letters, &STEP_3, |stem| pairs(stem) > 0);
    step_4(&mut letters);
    if let Some(stem) = without(&letters, "e")
        && (pairs(stem) > 1 || pairs(stem) == 1 && !is_short(stem))
    {
        letters.pop();
    }
    if without(&letters, "ll").is_some() && pairs(&letters[..letters.len() - 1]) > 1 {
        letters.pop();
    }
    letters.into_iter().collect()
}

fn plurals(word: &mut Vec<char>) {
    if word.len() == 4 && without(word, "ies").is_some() {
        replace(word, 3, "ie");
        return;
    }
    first_that_fits(word, &[("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")], |_| true);
}

fn participles(word: &mut Vec<char>) {
    if without(word, "ied").is_some() {
        let with = if word.len() == 4 { "ie" } else { "i" };
        return replace(word, 3, with);
    }
    if let Some(stem) = without(word, "eed") {
        if pairs(stem) > 0 {
            word.pop();
        }
        return;
    }
    let has_vowel =
        |ending: &&str| without(word, ending).is_some_and(|stem| consonants(stem).contains(&false));
    let Some(ending) = ["ed", "ing"].into_iter().find(has_vowel) else { return };
    word.truncate(word.len() - ending.len());
    for (ending, with) in [("at", "ate"), ("bl", "ble"), ("iz", "ize")] {
        if without(word, ending).is_some() {
            return replace(word, ending.len(), with);
        }
    }
    let last = word[word.len() - 1];
    let doubled = word.len() >= 2 && word[word.len() - 2] == last && consonants(word)[word.len() - 1];
    if doubled {
        if !['l', 's', 'z'].contains(&last) {
            word.pop();
        }
    } else if pairs(word) == 1 && is_short(word) {
        word.push('e');
    }
}

fn step_2(word: &mut Vec<char>) {
    while without(word, "alli").is_some_and(|stem| pairs(stem) > 0) {
        replace(word, 4, "al");
    }
    if !first_that_fits(word, &STEP_2, |stem| pairs(stem) > 0)
        && without(word, "logi").is_some()
        && pairs(&word[..word.len() - 3]) > 0
    {
        word.pop();
    }
}

fn step_4(word: &mut Vec<char>) {
    let Some(ending) = STEP_4.iter().find(|ending| without(word, ending).is_some()) else { return };
    let stem = &word[..word.len() - ending.len()];
    if pairs(stem) > 1 && (*ending != "ion" || stem.ends_with(&['s']) || stem.ends_with(&['t'])) {
        word.truncate(stem.len());
    }
}

/// Applies the first rule whose ending the word has, if its stem is such; says whether there is one.
fn first_that_fits(word: &mut Vec<char>, rules: &[(&str, &str)], such: impl Fn(&[char]) -> bool) -> bool {
    let Some((ending, with)) = rules.iter().find(|(ending, _)| without(word, ending).is_some()) else {
        return false;
    };
    if without(word, ending).is_some_and(such) {
        replace(word, ending.len(), with);
    }
    true
}

/// A word without an ending that it has.
fn without<'a>(word: &'a [char], ending: &str) -> Option<&'a [char]> {
    let stem = word.len().checked_sub(ending.len())?;
    word[stem..].iter().copied().eq(ending.chars()).then(|| &word[..stem])
}

fn replace(word: &mut Vec<char>, ending: usize, with: &str) {
    word.truncate(word.len() - ending);
    word.extend(with.chars());
}

/// Whether each letter is a consonant; y is one where it stands first or behind a vowel.
fn consonants(word: &[char]) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word {
        flags.push(match letter {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => !flags.last().copied().unwrap_or(false),
            _ => true,
        });
    }
    flags
}

/// How often a consonant follows a vowel: Porter's measure.
fn pairs(word: &[char]) -> usize {
    consonants(word).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

/// Consonant, vowel, consonant at the end, the last one not w, x or y; or a vowel and a consonant, all of it.
fn is_short(word: &[char]) -> bool {
    match consonants(word)[..] {
        [.., true, false, true] => !['w', 'x', 'y'].contains(&word[word.len() - 1]),
        [false, true] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the examples in Porter's paper, those that nltk agrees with.
    #[test]
    fn endings_go() {
        for (word, expected) in [
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("dies", "die"),
            ("feed", "feed"),
            ("agreed", "agre"),
            ("plastered", "plaster"),
            ("sized", "size"),
            ("hopping", "hop"),
            ("falling", "fall"),
            ("filing", "file"),
            ("happy", "happi"),
            ("enjoy", "enjoy"),
            ("relational", "relat"),
            ("geology", "geolog"),
            ("radically", "radic"),
            ("replacement", "replac"),
            ("adoption", "adopt"),
            ("controlling", "control"),
            ("cease", "ceas"),
            ("skies", "sky"),
            ("is", "is"),
            ("", ""),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
    }
}
