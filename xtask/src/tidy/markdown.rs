//! What a Markdown file names must exist: links, repository paths in code, `cargo xtask` and `flamingo` commands.

use std::collections::BTreeSet;

use super::Violation;
use super::files::File;

/// Where `flamingo` keeps one file per verb.
const VERBS_FOLDER: &str = "crates/flamingo-cli/src/verbs/";

/// Everything that may be named.
#[derive(Debug)]
pub struct Names {
    /// Files and folders, from the workspace root.
    paths: BTreeSet<String>,
    /// Verbs of `flamingo`.
    verbs: BTreeSet<String>,
    /// The command line of `cargo xtask`.
    xtask: clap::Command,
}

impl Names {
    /// Collects the names from the repository's files and from xtask's own command line.
    pub fn new(files: &[File], xtask: clap::Command) -> Names {
        let mut paths = BTreeSet::new();
        for file in files {
            let slashes = file.path.match_indices('/').map(|(at, _)| at);
            paths.extend(slashes.map(|at| file.path[..at].to_owned()));
            paths.insert(file.path.clone());
        }
        let verbs = paths.iter().filter_map(|path| path.strip_prefix(VERBS_FOLDER)?.strip_suffix(".rs"));
        // A verb with verbs of its own is a folder.
        let verbs = verbs.map(|verb| verb.strip_suffix("/mod").unwrap_or(verb));
        let verbs = verbs.filter(|verb| *verb != "mod").map(str::to_owned).collect();
        Names { paths, verbs, xtask }
    }

    fn has_path(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }
}

/// All rules for the Markdown file `path`.
pub fn check(path: &str, text: &str, names: &Names) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(text.lines()) {
        let mut found = Vec::new();
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.extend(command(line, names));
        } else {
            for code in line.split('`').skip(1).step_by(2) {
                found.extend(command(code, names));
                found.extend(repository_path(path, code, names));
            }
            found.extend(links(line).filter_map(|target| link(path, target, names)));
        }
        violations.extend(found.into_iter().map(|message| Violation::new(path, number, message)));
    }
    violations
}

/// What is wrong with a `cargo xtask …` or `flamingo …` command in a piece of code.
fn command(code: &str, names: &Names) -> Option<String> {
    if let Some((_, rest)) = code.split_once("cargo xtask ") {
        return xtask_command(rest, &names.xtask);
    }
    let line = code.trim_start().trim_start_matches("$ ");
    let rest = line.strip_prefix("flamingo ").or_else(|| Some(line.split_once("release/flamingo ")?.1))?;
    let verb = words(rest).next()?;
    (!names.verbs.contains(verb)).then(|| format!("`flamingo {verb}` does not exist: see {VERBS_FOLDER}"))
}

/// Follows the words down the subcommands.
fn xtask_command(rest: &str, xtask: &clap::Command) -> Option<String> {
    let mut command = xtask;
    for word in words(rest) {
        if !command.has_subcommands() {
            break;
        }
        let Some(next) = command.find_subcommand(word) else {
            return Some(format!("`{} {word}` does not exist: see `cargo xtask --help`", command.get_name()));
        };
        command = next;
    }
    None
}

/// The leading words that can be verbs; placeholders such as `VERB`, `…` and flags end them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_verb =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains(['|', '/', '.']);
    text.split_whitespace().map(|word| word.trim_end_matches([',', ';', ':', ')'])).take_while(is_verb)
}

/// What is wrong with a piece of code that looks like a path of this repository.
///
/// It does if it has a slash, no blanks or placeholders, and begins with a folder that is there; names of features
/// (`burn/flex`) and folders that programs create (`runs/…`) do not.
fn repository_path(file: &str, code: &str, names: &Names) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let document =
        !code.contains('/') && code.ends_with(".md") && code.starts_with(|c: char| c.is_ascii_uppercase());
    let first = code.split('/').next().filter(|_| code.contains('/'));
    let ours = first.is_some_and(|first| names.paths.contains(first) || first == "..");
    if !code.chars().all(plain) || !(ours || document) {
        return None;
    }
    let code = code.trim_end_matches('/');
    let exists = names.has_path(code) || resolve(file, code).is_some_and(|path| names.has_path(&path));
    (!exists).then(|| {
        format!("`{code}` is no path of this repository: write it from the workspace root, as it is")
    })
}

/// Targets of `[text](target)` and `![text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

/// What is wrong with a link's target.
fn link(file: &str, target: &str, names: &Names) -> Option<String> {
    let address = target.contains("://") || target.starts_with("mailto:");
    let path = target.split('#').next().unwrap_or_default().trim_end_matches('/');
    if address || path.is_empty() {
        return None;
    }
    let exists = resolve(file, path).is_some_and(|path| names.has_path(&path));
    (!exists).then(|| format!("the link to {target} leads nowhere: write it relative to {file}"))
}

/// `target` as written in `file`, from the workspace root; `None` if it leaves the workspace.
fn resolve(file: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn lines_of(text: &str) -> Vec<usize> {
        let paths = [
            "README.md",
            "crates/flamingo/src/lib.rs",
            "docs/a.md",
            "crates/flamingo-cli/src/verbs/data/mod.rs",
            "crates/flamingo-cli/src/verbs/train.rs",
        ];
        let file = |path: &str| File { path: path.to_owned(), bytes: 0, text: None };
        let names = Names::new(&paths.map(file), crate::Cli::command());
        check("docs/a.md", text, &names).into_iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn names_that_exist_pass() {
        let text = "See [the readme](../README.md#top), `README.md`, `crates/flamingo/`, [x](https://a.org/b).\n\
            `cargo xtask train --name x`, `cargo xtask data prepare emoji`, `cargo xtask VERB`, `flamingo train …`, `flamingo data x`.\n\
            ```sh\n$ flamingo train --seed 1\ncargo xtask test -p flamingo\n```\n\
            Features `burn/flex`, runs `runs/first-light/report.html`, crate `flamingo`, glob `crates/*/src`.\n";
        assert_eq!(lines_of(text), [0usize; 0]);
    }

    #[test]
    fn names_that_do_not_exist_are_found() {
        let text = "[gone](gone.md)\n`crates/flamingo/src/gone.rs`\n`cargo xtask fly`\n`cargo xtask data lose emoji`\n\
            `flamingo fly`\n```\ncargo xtask fly\nflamingo fly\n```\n`GONE.md`\n[out](../../x.md)\n";
        assert_eq!(lines_of(text), [1, 2, 3, 4, 5, 7, 8, 10, 11]);
    }
}
