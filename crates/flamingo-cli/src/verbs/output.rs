//! Printing what was asked for: where nobody reads on (`| head`), that is no error.

use std::io::{self, ErrorKind, Write};

/// Writes `text` to standard output.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
