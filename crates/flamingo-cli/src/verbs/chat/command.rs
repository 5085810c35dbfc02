//! What a line says: a message, or a command.

use std::path::PathBuf;

use flamingo::core::nearest;
use rustyline::completion::unescape;

use crate::exit::Usage;

/// What `/help` prints.
pub const COMMANDS: &str = "\
/image PATH   attach an image to the next message; several may be attached
/video PATH   attach a clip
/undo         take back what is attached, or else the last message and its answer
/reset        take back all messages
/help         print this
/quit         end the conversation, as does Ctrl-D
Anything else is a message; an empty line sends what is attached. Ctrl-C stops an answer.";

/// The commands' names.
pub const NAMES: [&str; 6] = ["/image", "/video", "/undo", "/reset", "/help", "/quit"];

/// A line of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    Say(&'a str),
    Image(&'a str),
    Video(&'a str),
    Undo,
    Reset,
    Help,
    Quit,
}

impl<'a> Command<'a> {
    /// A line that begins with a slash and letters is a command; one that begins with a path is not.
    pub fn parse(line: &'a str) -> Result<Self, Usage> {
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let letters = name.strip_prefix('/').unwrap_or_default();
        if letters.is_empty() || !letters.chars().all(char::is_alphabetic) {
            return Ok(Self::Say(line));
        }
        let path = || match rest.trim() {
            "" => Err(Usage(format!("{name} needs the path of a file: {name} PATH"))),
            path => Ok(path),
        };
        match name {
            "/image" => Ok(Self::Image(path()?)),
            "/video" => Ok(Self::Video(path()?)),
            "/undo" => Ok(Self::Undo),
            "/reset" => Ok(Self::Reset),
            "/help" => Ok(Self::Help),
            "/quit" => Ok(Self::Quit),
            _ => Err(Usage(format!(
                "there is no command {name} (/help lists those that there are){}",
                nearest::hint(name, NAMES)
            ))),
        }
    }
}

/// A path as people write it, or drop it onto a terminal: in quotes, with escaped spaces, below `~`.
pub fn path(written: &str) -> PathBuf {
    for quote in ['\'', '"'] {
        let inner = written.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.into();
        }
    }
    let written = match (written.strip_prefix("~/"), std::env::home_dir()) {
        (Some(below), Some(home)) => home.join(below),
        _ => written.into(),
    };
    let unescaped = PathBuf::from(unescape(&written.to_string_lossy(), Some('\\')).into_owned());
    if !written.exists() && unescaped.exists() { unescaped } else { written }
}

/// Where the path in a line begins, if the line's command takes one.
pub fn path_start(line: &str) -> Option<usize> {
    let command = ["/image ", "/video "].into_iter().find(|command| line.starts_with(command))?;
    Some(line.len() - line[command.len()..].trim_start().len())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn messages_and_commands_are_told_apart() {
        for (line, command) in [
            ("", Command::Say("")),
            (" a cat? ", Command::Say("a cat?")),
            ("/", Command::Say("/")),
            ("/usr/bin is a folder", Command::Say("/usr/bin is a folder")),
            ("/image  my cat.png ", Command::Image("my cat.png")),
            ("/video\tclip.gif", Command::Video("clip.gif")),
            ("/undo", Command::Undo),
            ("/quit now", Command::Quit),
        ] {
            assert_eq!(Command::parse(line).unwrap(), command, "{line:?}");
        }
        let error = |line| Command::parse(line).unwrap_err().to_string();
        assert!(error("/imgae cat.png").contains("did you mean \"/image\"?"), "{}", error("/imgae cat.png"));
        assert!(error("/image ").contains("/image PATH"));
    }

    #[test]
    fn every_name_is_a_command_and_explained() {
        for name in NAMES {
            assert!(!matches!(Command::parse(&format!("{name} x")), Ok(Command::Say(_)) | Err(_)), "{name}");
            assert!(COMMANDS.contains(&format!("\n{name} ")) || COMMANDS.starts_with(name), "{name}");
        }
    }

    #[test]
    fn paths_are_read_as_terminals_write_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my cat.png");
        std::fs::write(&file, "").unwrap();
        let plain = file.display().to_string();
        for written in
            [plain.clone(), format!("'{plain}'"), format!("\"{plain}\""), plain.replace(' ', "\\ ")]
        {
            assert_eq!(path(&written), file, "{written}");
        }
        assert_eq!(path("no\\ where"), Path::new("no\\ where"));
        assert_eq!(path_start("/image  x"), Some(8));
        assert_eq!(path_start("/undo x"), None);
    }
}
