//! Rules for every file: size, no unfinished work, no path that exists on one machine only.

use super::Violation;
use super::files::File;

/// Largest file of the repository, in bytes. A dataset shard may be this large.
const MAX_BYTES: u64 = 8_000_000;

/// Marks of unfinished work, in two halves so that this file does not contain them.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimple", "mented!")];

/// Where machines keep what is theirs, in two halves like the above.
const MACHINE_FOLDERS: [&str; 6] = [
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/t", "mp/"),
    concat!("C:", "\\"),
];

/// A file over the limit.
pub fn size(file: &File) -> Option<Violation> {
    let message =
        || format!("{} bytes, over the limit of {MAX_BYTES}: split it or let a recipe build it", file.bytes);
    (file.bytes > MAX_BYTES).then(|| Violation::new(&file.path, 1, message()))
}

/// Unfinished work and machine paths, line by line.
pub fn text(path: &str, text: &str) -> Vec<Violation> {
    if path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(mark) = UNFINISHED.into_iter().find(|mark| has_word(line, mark)) {
            violations.push(Violation::new(
                path,
                number,
                format!("{mark} found: finish it, or open an issue instead"),
            ));
        }
        if let Some(folder) = MACHINE_FOLDERS.into_iter().find(|folder| has_absolute(line, folder)) {
            let message = format!(
                "a path under {folder} exists on one machine only: make it relative to the workspace"
            );
            violations.push(Violation::new(path, number, message));
        }
    }
    violations
}

/// Whether `word` is in `line` and is not a part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        ![before, after].into_iter().flatten().any(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Whether `folder` begins a path in `line`, and is not the middle of a longer path or address.
fn has_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-/}~*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(line: &str) -> usize {
        text("a.rs", &format!("fine\n{line}\n")).iter().filter(|violation| violation.line == 2).count()
    }

    #[test]
    fn unfinished_work_is_found() {
        for mark in UNFINISHED {
            assert_eq!(messages(&format!("    {mark} // later")), 1, "{mark}");
        }
        assert_eq!(messages("let mastodon = TODOS;"), 0);
    }

    #[test]
    fn machine_paths_are_found() {
        for folder in MACHINE_FOLDERS {
            assert_eq!(messages(&format!("open(\"{folder}x\")")), 1, "{folder}");
        }
        assert_eq!(messages("https://example.org/home/page and crates/work/src"), 0);
    }

    #[test]
    fn large_files_are_found() {
        let file = |bytes| File { path: "a.tar".to_owned(), bytes, text: None };
        assert!(size(&file(MAX_BYTES)).is_none());
        assert!(size(&file(MAX_BYTES + 1)).is_some());
    }
}
