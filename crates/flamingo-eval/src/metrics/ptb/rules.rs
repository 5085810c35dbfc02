//! What tokens look like.
//!
//! A rule is a pattern and what is made of its match. The longest match wins, then the earlier rule.

use super::abbreviations::{ANY_CASE, AS_WRITTEN, BEFORE_NUMBER, FILES};
use super::classes::{DIGIT, LETTER, SYMBOL};

/// A pattern, and what becomes of what it matches.
pub(super) struct Rule {
    pub pattern: String,
    pub make: Make,
}

/// What becomes of a match.
pub(super) enum Make {
    /// A token.
    Token,
    /// A token, but for so many characters at its end, which are read again.
    Before(usize),
    /// A token, but for the `n't` at its end.
    BeforeContraction,
    /// Two tokens, the first of so many characters.
    Two(usize),
    /// This token.
    As(&'static str),
    /// An ending with a straight apostrophe, but for so many characters at its end.
    Contraction(usize),
    /// Quotation marks, as ASCII has them.
    Quotes,
    /// Nothing.
    Nothing,
}

/// A quotation mark as ASCII has it.
pub(super) fn quote(c: char) -> &'static str {
    match c {
        '`' | '\u{91}' | '‘' | '‛' | '‹' => "`",
        '\u{92}' | '’' | '›' => "'",
        '\u{93}' | '“' | '«' => "``",
        _ => "''",
    }
}

/// All rules.
pub(super) fn all() -> Vec<Rule> {
    let (l, d) = (LETTER, DIGIT);
    // Accented letters as entities belong to words, as does a hyphen that shows only where a line breaks.
    let entity = r"&[aeiouAEIOU](?:acute|grave|uml);";
    let l = format!(r"(?:{l}|\u{{ad}}|{entity})");
    let word = format!(r"{l}(?:{l}|{d})*");
    let ld = format!(r"(?:{l}|{d})");
    let apos = r"(?:['\u{92}’]|&apos;)";
    let apos_or_tick = r"(?:['\u{92}’`‘‛\u{91}]|&apos;)";
    // A letter that is no n.
    let last = format!(r"[{LETTER}&&[^nN]]");
    let curly = r"[\u{92}’]";
    let number = format!(r"[-+]?(?:{d}+|{d}*(?:[.:,\u{{ad}}\u{{66b}}\u{{66c}}]{d}+)+)");
    let not_letter = r"[^A-Za-z]";
    let letters = r"[A-Za-z]";
    let name = r"[A-Za-z][A-Za-z0-9_:.-]*";
    let attribute = format!(r#"{name}(?: *= *(?:'[^'\n]*'|"[^"\n]*"|{name}))?"#);
    let url_end = r#"[^ \u{a0}\t\n"<>|()]+[^ \u{a0}\t\n"<>|.!?(){},-]"#;
    let face = r"[-^x=~<>']";

    let mut rules: Vec<Rule> = Vec::new();
    let mut add = |make: Make, pattern: String| rules.push(Rule { pattern, make });

    // Words in two parts.
    add(Make::Two(3), "(?i:cannot|gonna|gotta|lemme|gimme|wanna)".to_owned());
    add(Make::Before(2), "'(?i:tis)".to_owned());
    add(Make::Before(3), "'(?i:twas)".to_owned());
    // Markup and addresses.
    add(Make::Token, format!(r"<(?:[!?][A-Za-z-][^>\n]*|/?{name}(?: +{attribute})* */?|/{name}) *>"));
    add(Make::Token, format!(r"(?i:https?)://{url_end}"));
    add(
        Make::Token,
        format!(
            r#"(?:(?i:www)\.(?:[^ \u{{a0}}\t\n"<>|.!?(){{}},]+\.)+[a-zA-Z]{{2,4}}|(?:{ld}+\.)+(?i:com|net|org|edu))(?:/{url_end})?"#
        ),
    );
    add(
        Make::Token,
        r#"<?[a-zA-Z0-9][^ \u{a0}\t\n"<>|(){}]*@(?:[^ \u{a0}\t\n"<>|().{}]+\.)*[^ \u{a0}\t\n"<>|().{}]+>?"#
            .to_owned(),
    );
    add(Make::Token, format!(r"@[a-zA-Z_][a-zA-Z_0-9]*|#{l}+"));
    // Contractions.
    add(Make::Token, r"(?i:cont'd)\.".to_owned());
    add(Make::BeforeContraction, format!(r"{l}*{last}[nN]{apos_or_tick}[tT]"));
    add(Make::Contraction(0), format!(r"[nN]{apos_or_tick}[tT]"));
    add(Make::Contraction(1), format!(r"(?i:'(?:s|m|d|re|ve|ll)){not_letter}"));
    add(Make::Contraction(0), format!(r"(?i:(?:{curly}|&apos;)(?:s|m|d|re|ve|ll))"));
    for (ending, chars) in [("s|m|d", 2), ("re|ve|ll", 3)] {
        add(Make::Before(chars + 1), format!(r"{word}(?i:'(?:{ending})){not_letter}"));
        add(Make::Before(chars), format!(r"{word}(?i:{curly}(?:{ending}))"));
        add(Make::Before(chars + 5), format!(r"{word}(?i:&apos;(?:{ending}))"));
    }
    add(
        Make::Token,
        format!(
            "(?i:{apos}n{apos}|dunkin{apos}|somethin{apos}|ol{apos}|{apos}em|{apos}tills?|{apos}til|{apos}cause|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l|o{apos}o)|{apos}[2-9]0s"
        ),
    );
    add(Make::Before(1), r"'[nN][ \t\n]".to_owned());
    add(Make::Token, "[’\u{92}][nN]".to_owned());
    add(Make::Before(1), format!(r"{apos}{d}{d}[ \t\n]"));
    add(Make::Token, format!(r"[lLdDjJ]{apos}"));
    add(Make::Before(1), format!(r"[yY]{apos}{letters}"));
    add(Make::Token, format!(r"[A-HJ-XZdlo]{apos_or_tick}{ld}{ld}+(?:-{ld}+)*|n{apos_or_tick}{l}{l}+"));
    add(Make::Token, format!(r"{l}+[aeiouyAEIOUY]{apos_or_tick}[aeiouA-Z]{l}*"));
    // Words.
    add(Make::Token, format!("{ld}+"));
    add(Make::Token, format!("{ld}+(?:[-_]{ld}+)+"));
    add(
        Make::Token,
        r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}".to_owned(),
    );
    add(Make::Token, r"[A-Z]+(?:(?:[+&]|&amp;)[A-Z]+)+".to_owned());
    add(Make::Token, format!(r"{word}(?:[.!?]{word})+"));
    add(Make::Token, format!(r"{ld}+(?:\.{ld}+)*\.{{0,2}}(?:-{ld}+)+"));
    add(Make::Before(1), format!(r"(?:{word}|{ld}+(?:-{ld}+)+)\.[,;:]"));
    add(Make::Before(1), format!(r"{ld}+\.(?i:{FILES})[ \t\n.,?!]"));
    add(Make::Token, r"[Cc]\+\+|[CcFf]#|[A-Z]+\$".to_owned());
    // Abbreviations.
    add(Make::Token, r"[A-Za-z](?:\.[A-Za-z])*\.".to_owned());
    add(
        Make::Token,
        r"[A-Za-z](?:\.[A-Za-z]+)+(?:-[A-Za-z]+)+|[A-Za-z](?:\.[A-Za-z])+\.-[A-Za-z]+".to_owned(),
    );
    add(Make::Token, format!(r"(?:{})\.", cases(ANY_CASE)));
    add(Make::Token, format!(r"(?:{AS_WRITTEN})\.|[Pp]h\.[Dd]\.?|[Ee]d\.[Dd]\."));
    add(Make::Before(1), format!(r"(?i:{BEFORE_NUMBER})\.{d}"));
    add(Make::Before(2), format!(r"(?i:{BEFORE_NUMBER})\.[ \n]{d}"));
    // Numbers.
    add(Make::Token, number);
    add(Make::Token, format!(r"{d}{{1,2}}[-/]{d}{{1,2}}[-/]{d}{{2,4}}|{d}{{4}}-{d}{{1,2}}-{d}{{1,2}}"));
    add(Make::Token, format!(r"(?:{d}{{1,4}}[- \u{{a0}}])?{d}{{1,4}}(?:\\?/|⁄){d}{{1,4}}"));
    add(
        Make::Token,
        r"(?:\([0-9]{2,3}\)[ \u{a0}]?|(?:\+\+?)?(?:[0-9]{2,4}[- \u{a0}])?[0-9]{2,4}[- \u{a0}])[0-9]{3,4}[- \u{a0}]?[0-9]{3,5}|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}".to_owned(),
    );
    for (character, written) in
        [('¼', "1/4"), ('½', "1/2"), ('¾', "3/4"), ('⅓', "1/3"), ('⅔', "2/3"), ('¢', "cents"), ('£', "#")]
    {
        add(Make::As(written), character.to_string());
    }
    add(Make::As("$"), "[\u{80}\u{a4}\u{20a0}\u{20ac}]".to_owned());
    // Faces.
    add(Make::Before(1), r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]][^A-Za-z0-9]".to_owned());
    add(Make::Token, format!(r"[\^x=~<>]\.[\^x=~<>]|{face}_{face}|\({face}[_.]?{face}\)"));
    // Brackets.
    for (bracket, name) in [
        (r"\(", "-lrb-"),
        (r"\)", "-rrb-"),
        (r"\[", "-lsb-"),
        ("]", "-rsb-"),
        (r"\{", "-lcb-"),
        ("}", "-rcb-"),
    ] {
        add(Make::As(name), bracket.to_owned());
    }
    add(Make::Token, "(?i:-[LR][RCS]B-)".to_owned());
    // Punctuation.
    add(Make::As("&"), "&(?i:amp);".to_owned());
    add(Make::As("<"), "&(?i:lt);".to_owned());
    add(Make::As(">"), "&(?i:gt);".to_owned());
    add(
        Make::Nothing,
        "&(?i:quot|apos|nbsp|mdash|ndash);|[.,:;'\"\u{92}`]|''|\\.{3}|-{1,4}|[–—―\u{96}\u{97}]|\u{2026}"
            .to_owned(),
    );
    add(Make::Token, r"-{5,}|\\\*".to_owned());
    add(Make::Token, "[!?]+|_+|#+|@+|\\*+|<+|>+".to_owned());
    add(Make::Token, "[²³¹⁰⁴-⁹₀-₉]+|[‚„‟]+".to_owned());
    add(Make::Token, "&#[0-9]+;".to_owned());
    add(Make::Quotes, "[`\u{91}-\u{94}‘’‛‹›“”«»]{1,2}".to_owned());
    add(Make::Token, SYMBOL.to_owned());
    rules
}

/// Alternatives in small letters, with a capital, and in capitals.
fn cases(words: &str) -> String {
    let titled = |word: &str| word[..1].to_uppercase() + &word[1..];
    let forms = words.split('|').flat_map(|word| [word.to_owned(), titled(word), word.to_uppercase()]);
    forms.collect::<Vec<_>>().join("|")
}
