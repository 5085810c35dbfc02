//! A program run for its output, with a limit on its silence.

use std::io::{self, BufRead, Cursor, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::DataError;

/// How much output is read at once, in bytes.
const CHUNK: usize = 1 << 16;

/// How many chunks wait to be used.
const QUEUE: usize = 16;

/// How much of a program's last words is kept, in bytes and in lines.
const LOG_BYTES: usize = 2048;
const LOG_LINES: usize = 5;

/// A running program. Reading gives its standard output; dropping ends it.
pub(super) struct Job<'a> {
    program: &'static str,
    /// What errors call the clip.
    name: &'a str,
    child: Child,
    output: Receiver<io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
    log: Receiver<Vec<u8>>,
    patience: Duration,
}

impl<'a> Job<'a> {
    /// Starts `executable`, which errors call `program`. It may be silent for as long as `patience`.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingProgram`] if there is no such program, [`DataError::VideoProgram`] if it cannot be started.
    pub fn start(
        program: &'static str,
        executable: &Path,
        arguments: impl FnOnce(&mut Command),
        name: &'a str,
        patience: Duration,
    ) -> Result<Self, DataError> {
        let mut command = Command::new(executable);
        arguments(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DataError::MissingProgram { name: name.to_owned(), program },
            _ => {
                let what = format!("could not be started: {error}");
                DataError::VideoProgram { name: name.to_owned(), program, what }
            }
        })?;

        let (chunks, output) = sync_channel(QUEUE);
        if let Some(pipe) = child.stdout.take() {
            thread::spawn(move || forward(pipe, &chunks));
        }
        let (last_words, log) = sync_channel(1);
        if let Some(pipe) = child.stderr.take() {
            thread::spawn(move || last_words.send(tail(pipe)));
        }
        Ok(Self { program, name, child, output, chunk: Cursor::default(), log, patience })
    }

    /// Waits for its end, which must be a good one. Its output must have been read.
    ///
    /// # Errors
    ///
    /// [`DataError::VideoProgram`] if it reports a failure, or does not end.
    pub fn finish(mut self) -> Result<(), DataError> {
        let until = Instant::now() + self.patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(self.failed(&format!("failed ({status})"))),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
                Ok(None) => return Err(self.failed("does not end")),
                Err(error) => return Err(self.failed(&error.to_string())),
            }
        }
    }

    /// Ends it: an error with its last words.
    pub fn failed(&mut self, what: &str) -> DataError {
        self.stop();
        // The thread ends with the program, unless that left another one behind.
        let log = self.log.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  ");
        let what = if last.is_empty() { what.to_owned() } else { format!("{what}:\n  {last}") };
        DataError::VideoProgram { name: self.name.to_owned(), program: self.program, what }
    }

    fn stop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl BufRead for Job<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.fill_buf()?.is_empty() {
            self.chunk = Cursor::new(match self.output.recv_timeout(self.patience) {
                Ok(chunk) => chunk?,
                Err(RecvTimeoutError::Timeout) => {
                    let what = format!("has said nothing for {} s", self.patience.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, what));
                }
                Err(RecvTimeoutError::Disconnected) => Vec::new(),
            });
        }
        self.chunk.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.consume(amount);
    }
}

impl Read for Job<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(out)?;
        self.consume(amount);
        Ok(amount)
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sends a pipe's contents on, until they end or nobody listens.
fn forward(mut pipe: impl Read, chunks: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match pipe.read(&mut chunk) {
            Ok(0) => return,
            Ok(amount) => {
                chunk.truncate(amount);
                Ok(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let ended = read.is_err();
        if chunks.send(read).is_err() || ended {
            return;
        }
    }
}

/// The end of a pipe's contents.
fn tail(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = [0; LOG_BYTES];
    while let Ok(amount @ 1..) = pipe.read(&mut chunk) {
        kept.extend_from_slice(&chunk[..amount]);
        kept.drain(..kept.len().saturating_sub(LOG_BYTES));
    }
    kept
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Job<'static> {
        let arguments = |command: &mut Command| {
            command.args(["-c", script]);
        };
        Job::start("sh", "sh".as_ref(), arguments, "clip.mp4", patience).unwrap()
    }

    #[test]
    fn output_is_read_to_its_end() {
        let mut job = shell("seq 1 100000", Duration::from_secs(20));
        let mut text = String::new();
        job.read_to_string(&mut text).unwrap();
        assert!(text.lines().map(|line| line.parse::<u32>().unwrap()).eq(1..=100_000));
        job.finish().unwrap();
    }

    #[test]
    fn a_failure_has_its_last_words() {
        let script = "for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 3";
        let mut job = shell(script, Duration::from_secs(20));
        assert_eq!(job.read(&mut [0; 8]).unwrap(), 0);
        let error = job.finish().unwrap_err().to_string();
        for part in ["clip.mp4", "`sh`", "3", "line 7"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(!error.contains("line 2"), "{error}");
    }

    #[test]
    fn silence_has_an_end() {
        let started = Instant::now();
        let mut job = shell("echo I am thinking >&2; exec sleep 60", Duration::from_millis(300));
        let silence = job.read(&mut [0; 8]).unwrap_err();
        assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
        let error = job.failed(&silence.to_string()).to_string();
        assert!(error.contains("has said nothing") && error.contains("I am thinking"), "{error}");
        drop(job);
        assert!(started.elapsed() < Duration::from_secs(20), "it was waited for");
    }

    #[test]
    fn an_absent_program_is_named() {
        let absent = Path::new("no-such-program-anywhere");
        let error = Job::start("ffmpeg", absent, |_| {}, "clip.mp4", Duration::from_secs(1)).err().unwrap();
        assert!(matches!(error, DataError::MissingProgram { program: "ffmpeg", .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains("clip.mp4") && error.contains("install"), "{error}");
    }
}
