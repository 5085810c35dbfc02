//! The singular of a word, by the rules of the Python package `inflection` 0.5.1, which are those of Ruby on Rails.

use std::sync::LazyLock;

use regex::Regex;

/// Words that have none.
const UNCOUNTED: [&str; 9] =
    ["equipment", "fish", "information", "jeans", "money", "rice", "series", "sheep", "species"];

/// What a word ends with, and what that becomes; the first that fits counts. `^` is the word's beginning.
const ENDINGS: [(&str, &str); 40] = [
    ("(z)ombies$", "${1}ombie"),
    ("(m)oves$", "${1}ove"),
    ("(s)exes$", "${1}ex"),
    ("(c)hildren$", "${1}hild"),
    ("(h)umans$", "${1}uman"),
    ("(m)en$", "${1}an"),
    ("(p)eople$", "${1}erson"),
    ("(database)s$", "${1}"),
    ("(quiz)zes$", "${1}"),
    ("(matr)ices$", "${1}ix"),
    ("(vert|ind)ices$", "${1}ex"),
    ("(passer)sby$", "${1}by"),
    ("^(ox)en", "${1}"),
    ("(alias|status)(es)?$", "${1}"),
    ("(octop|vir)(us|i)$", "${1}us"),
    ("^(a)x[ie]s$", "${1}xis"),
    ("(cris|test)(is|es)$", "${1}is"),
    ("(shoe)s$", "${1}"),
    ("(o)es$", "${1}"),
    ("(bus)(es)?$", "${1}"),
    ("(m|l)ice$", "${1}ouse"),
    ("(x|ch|ss|sh)es$", "${1}"),
    ("(m)ovies$", "${1}ovie"),
    ("(s)eries$", "${1}eries"),
    ("([^aeiouy]|qu)ies$", "${1}y"),
    ("([lr])ves$", "${1}f"),
    ("(tive)s$", "${1}"),
    ("(hive)s$", "${1}"),
    ("([^f])ves$", "${1}fe"),
    ("(t)he(sis|ses)$", "${1}hesis"),
    ("(s)ynop(sis|ses)$", "${1}ynopsis"),
    ("(p)rogno(sis|ses)$", "${1}rognosis"),
    ("(p)arenthe(sis|ses)$", "${1}arenthesis"),
    ("(d)iagno(sis|ses)$", "${1}iagnosis"),
    ("(b)a(sis|ses)$", "${1}asis"),
    ("(a)naly(sis|ses)$", "${1}nalysis"),
    ("([ti])a$", "${1}um"),
    ("(n)ews$", "${1}ews"),
    ("(ss)$", "${1}"),
    ("s$", ""),
];

/// "kine" is the only irregular plural with another first letter; it keeps its size only.
static KINE: LazyLock<Regex> = LazyLock::new(|| Regex::new("([kK])[iI][nN][eE]$").expect("a pattern"));

static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rule = |(pattern, with): &(&str, &'static str)| {
        (Regex::new(&format!("(?i){pattern}")).expect("a pattern"), *with)
    };
    ENDINGS.iter().map(rule).collect()
});

static UNCOUNTED_END: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!(r"(?i)\b(?:{})$", UNCOUNTED.join("|"))).expect("a pattern"));

/// The singular, or the word itself if it is none of a plural that the rules know.
pub fn singular(word: &str) -> String {
    if UNCOUNTED_END.is_match(word) {
        return word.to_owned();
    }
    let (zombies, rest) = RULES.split_first().expect("rules");
    if !zombies.0.is_match(word)
        && let Some(found) = KINE.captures(word)
    {
        let cow = if &found[1] == "k" { "cow" } else { "Cow" };
        return KINE.replace(word, cow).into_owned();
    }
    let fits = std::iter::once(zombies).chain(rest).find(|(pattern, _)| pattern.is_match(word));
    fits.map_or_else(|| word.to_owned(), |(pattern, with)| pattern.replace_all(word, *with).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singulars_are_those_of_inflection() {
        for (word, expected) in [
            ("posts", "post"),
            ("octopi", "octopus"),
            ("sheep", "sheep"),
            ("word", "word"),
            ("CamelOctopi", "CamelOctopus"),
            ("women", "woman"),
            ("leaves", "leafe"),
            ("wolves", "wolf"),
            ("kine", "cow"),
            ("Kine", "Cow"),
            ("boss", "boss"),
            ("bus", "bus"),
            ("potatoes", "potato"),
            ("pizza", "pizza"),
            ("data", "datum"),
        ] {
            assert_eq!(singular(word), expected, "{word}");
        }
    }
}
