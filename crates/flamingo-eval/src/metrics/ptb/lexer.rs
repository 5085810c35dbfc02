//! The longest match of a list of rules, the first of equally long ones: what a generated lexer does.

use std::cell::RefCell;
use std::sync::LazyLock;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Anchored, Input, MatchKind};

use super::rules::{self, Make, Rule};

struct Lexer {
    rules: Vec<Rule>,
    dfa: DFA,
}

static LEXER: LazyLock<Lexer> = LazyLock::new(|| {
    let rules = rules::all();
    let patterns: Vec<&str> = rules.iter().map(|rule| rule.pattern.as_str()).collect();
    let config =
        DFA::config().match_kind(MatchKind::All).cache_capacity(64 << 20).skip_cache_capacity_check(true);
    let dfa = DFA::builder().configure(config).build_many(&patterns).expect("the rules are patterns");
    Lexer { rules, dfa }
});

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(LEXER.dfa.create_cache());
}

/// The tokens of one line, in small letters.
pub(super) fn tokens(line: &str, next: Option<char>) -> Vec<String> {
    // Rules that look at what follows see the end of the line, and what the next one begins with.
    let text: String = line.chars().chain(['\n']).chain(next).collect();
    let mut tokens = Vec::new();
    let mut start = 0;
    CACHE.with_borrow_mut(|cache| {
        while start < line.len() {
            start += LEXER.next(&text[start..], cache, &mut tokens);
        }
    });
    tokens
}

impl Lexer {
    /// Adds what the text begins with to the tokens; returns its length.
    fn next(&self, rest: &str, cache: &mut Cache, tokens: &mut Vec<String>) -> usize {
        let input = Input::new(rest).anchored(Anchored::Yes);
        // The search gives up only on bytes that were declared to stop it, and none was.
        let found = self.dfa.try_search_fwd(cache, &input).expect("a search that cannot fail");
        let Some(found) = found.filter(|found| found.offset() > 0) else {
            // What no rule knows is dropped.
            return rest.chars().next().map_or(1, char::len_utf8);
        };
        let matched = &rest[..found.offset()];
        match &self.rules[found.pattern().as_usize()].make {
            Make::Token => tokens.push(tidy(matched)),
            Make::Before(chars) => {
                let end = matched.char_indices().rev().nth(chars - 1).map_or(0, |(place, _)| place);
                tokens.push(tidy(&matched[..end]));
                return end;
            }
            Make::BeforeContraction => {
                let end = matched.rfind(['n', 'N']).unwrap_or(0);
                tokens.push(tidy(&matched[..end]));
                return end;
            }
            Make::Two(chars) => {
                let middle = matched.char_indices().nth(*chars).map_or(matched.len(), |(place, _)| place);
                tokens.extend([tidy(&matched[..middle]), tidy(&matched[middle..])]);
            }
            Make::As(text) => tokens.push((*text).to_owned()),
            Make::Contraction(follows) => {
                let end =
                    matched.len() - matched.chars().rev().take(*follows).map(char::len_utf8).sum::<usize>();
                tokens.push(
                    tidy(&matched[..end]).replace(['\u{92}', '’'], "'").replace(['\u{91}', '‘', '‛'], "`"),
                );
                return end;
            }
            Make::Quotes => tokens.push(matched.chars().map(rules::quote).collect()),
            Make::Nothing => {}
        }
        found.offset()
    }
}

/// A token's text: small letters, no soft hyphens, brackets by name, spaces that do not break, `&` for its entity.
fn tidy(text: &str) -> String {
    let text = match text.contains('&') {
        true => text.replace("&amp;", "&").replace("&apos;", "'"),
        false => text.to_owned(),
    };
    let markup = text.starts_with('<') && text.ends_with('>');
    let mut token = String::with_capacity(text.len());
    for c in text.to_lowercase().chars() {
        match c {
            '\u{ad}' => {}
            '(' if !markup => token += "-lrb-",
            ')' if !markup => token += "-rrb-",
            ' ' => token.push('\u{a0}'),
            c => token.push(c),
        }
    }
    token
}
