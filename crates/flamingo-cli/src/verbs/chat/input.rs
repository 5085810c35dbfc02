//! Where messages come from: a terminal, with editing, history and completion, or a pipe.

use std::fs;
use std::io::{self, StdinLock};
use std::path::PathBuf;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::config::Behavior;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use super::command::{NAMES, path_start};
use crate::caches;

pub enum Input {
    Terminal(Box<Terminal>),
    Pipe(io::Lines<StdinLock<'static>>),
}

/// What came.
pub enum Read {
    Line(String),
    /// Ctrl-C, while a line was edited.
    Interrupted,
    End,
}

pub struct Terminal {
    editor: Editor<Completion, FileHistory>,
    /// `None` if there is no place for it.
    history: Option<PathBuf>,
}

impl Input {
    /// Lines are edited on the terminal itself, so that standard output is left to answers. A history that cannot be
    /// kept is told and done without.
    pub fn terminal() -> anyhow::Result<Self> {
        let config = Config::builder().behavior(Behavior::PreferTerm).auto_add_history(true).build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Completion(FilenameCompleter::new())));
        let history = caches::chat_history();
        if let Some(path) = &history
            && path.exists()
            && let Err(error) = editor.load_history(path)
        {
            eprintln!("warning: {}: cannot read the history: {error}", path.display());
        }
        Ok(Self::Terminal(Box::new(Terminal { editor, history })))
    }

    pub fn pipe() -> Self {
        Self::Pipe(io::stdin().lines())
    }

    /// The next line; `prompt` is for a person to see.
    pub fn read(&mut self, prompt: &str) -> anyhow::Result<Read> {
        match self {
            Self::Pipe(lines) => Ok(lines.next().transpose()?.map_or(Read::End, Read::Line)),
            Self::Terminal(terminal) => match terminal.editor.readline(prompt) {
                Ok(line) => {
                    terminal.keep_history();
                    Ok(Read::Line(line))
                }
                Err(ReadlineError::Interrupted) => Ok(Read::Interrupted),
                Err(ReadlineError::Eof) => Ok(Read::End),
                Err(error) => Err(error.into()),
            },
        }
    }
}

impl Terminal {
    /// After every line: the program may end at any time.
    fn keep_history(&mut self) {
        let Some(path) = &self.history else { return };
        let kept = path.parent().map_or(Ok(()), fs::create_dir_all).map_err(ReadlineError::from);
        if let Err(error) = kept.and_then(|()| self.editor.append_history(path)) {
            eprintln!("warning: {}: cannot keep the history: {error}", path.display());
            self.history = None;
        }
    }
}

/// Completes commands, and the paths behind those that take one.
pub struct Completion(FilenameCompleter);

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> Result<(usize, Vec<Pair>), ReadlineError> {
        if path_start(line).is_some_and(|start| start <= position) {
            return self.0.complete_path(line, position);
        }
        let begun = &line[..position];
        let names = NAMES.into_iter().filter(|name| begun.starts_with('/') && name.starts_with(begun));
        let pair = |name: &str| Pair { display: name.to_owned(), replacement: name.to_owned() };
        Ok((0, names.map(pair).collect()))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}

impl Validator for Completion {}

impl Helper for Completion {}
