//! A file on a server as a reader: fetched ahead, and gone on with where a connection broke.

use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::super::Patience;
use super::Cloud;
use super::remote::{Body, Failure, Remote};

/// How much is handed over at once, in bytes.
const PIECE: usize = 256 << 10;
/// How many pieces may wait to be read: with [`PIECE`], 4 MiB.
const AHEAD: usize = 16;
/// After so many bytes without trouble, earlier troubles are forgotten.
const RECOVERED: u64 = 1 << 20;

/// What the task that fetches sends. The permit makes room for another piece when it is dropped.
enum Message {
    Piece(Vec<u8>, OwnedSemaphorePermit),
    End,
    Failed(io::Error),
}

/// Reads what a task of the store's runtime fetches.
pub(super) struct Reader {
    messages: mpsc::Receiver<Message>,
    current: Cursor<Vec<u8>>,
    ended: bool,
    task: AbortHandle,
    /// Keeps the runtime.
    _cloud: Cloud,
}

impl Reader {
    /// Begins to fetch.
    pub fn start(handle: &Handle, remote: Remote, offset: u64, patience: Patience, cloud: Cloud) -> Self {
        let (sender, messages) = mpsc::channel();
        let room = Arc::new(Semaphore::new(AHEAD));
        let fetch = Fetch { remote, at: offset, version: None, patience, failures: 0, calm: 0, room, sender };
        let task = handle.spawn(fetch.run()).abort_handle();
        Self { messages, current: Cursor::default(), ended: false, task, _cloud: cloud }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() || self.ended {
                return Ok(count);
            }
            match self.messages.recv() {
                Ok(Message::Piece(piece, _permit)) => self.current = Cursor::new(piece),
                Ok(Message::End) => self.ended = true,
                Ok(Message::Failed(error)) => return Err(error),
                Err(_) => return Err(io::Error::new(ErrorKind::BrokenPipe, "the transfer was given up")),
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task that fetches.
struct Fetch {
    remote: Remote,
    /// Bytes of the file that were received, or skipped at the start.
    at: u64,
    /// The file's version at the first answer.
    version: Option<String>,
    patience: Patience,
    /// Failures in a row, and the bytes since the last one.
    failures: u32,
    calm: u64,
    room: Arc<Semaphore>,
    sender: mpsc::Sender<Message>,
}

impl Fetch {
    async fn run(mut self) {
        loop {
            let Err(failure) = self.attempt().await else {
                let _ = self.sender.send(Message::End);
                return;
            };
            self.failures += 1;
            self.calm = 0;
            if failure.is_final || self.failures >= self.patience.attempts {
                let error = failure.error;
                let what = format!("{error} (byte {} of the file, attempt {})", self.at, self.failures);
                let _ = self.sender.send(Message::Failed(io::Error::new(error.kind(), what)));
                return;
            }
            sleep(self.pause()).await;
        }
    }

    /// Twice as long after each failure.
    fn pause(&self) -> Duration {
        self.patience.pause * 2u32.saturating_pow(self.failures.saturating_sub(1).min(6))
    }

    /// One request, from where the last one broke off, to the end of the file.
    async fn attempt(&mut self) -> Result<(), Failure> {
        let Body { mut skip, version, mut pieces } = self.within(self.remote.get(self.at)).await??;
        if version.is_some() && self.version.is_some() && version != self.version {
            return Err(Failure::last(
                ErrorKind::InvalidData,
                "the file was replaced while it was being read",
            ));
        }
        self.version = self.version.take().or(version);
        let mut gathered = Vec::new();
        let end = loop {
            let mut piece = match self.within(pieces.next()).await {
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(error))) => break Err(Failure { error, is_final: false }),
                Ok(None) => break Ok(()),
                Err(failure) => break Err(failure),
            };
            let passed = skip.min(piece.len() as u64);
            piece.drain(..passed as usize);
            skip -= passed;
            self.at += piece.len() as u64;
            self.calm += piece.len() as u64;
            if self.calm >= RECOVERED {
                self.failures = 0;
            }
            gathered.append(&mut piece);
            if gathered.len() >= PIECE {
                self.hand_over(std::mem::take(&mut gathered)).await;
            }
        };
        if !gathered.is_empty() {
            self.hand_over(gathered).await;
        }
        match skip {
            0 => end,
            _ => end.and(Err(Failure::last(
                ErrorKind::UnexpectedEof,
                format!("the file ends {skip} bytes before"),
            ))),
        }
    }

    /// Waits for room, and sends.
    async fn hand_over(&self, piece: Vec<u8>) {
        // The semaphore is never closed; if the reader is gone, this task is about to be stopped.
        if let Ok(permit) = Arc::clone(&self.room).acquire_owned().await {
            let _ = self.sender.send(Message::Piece(piece, permit));
        }
    }

    /// What `work` gives, unless the server is silent for too long.
    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let silence = self.patience.silence;
        timeout(silence, work).await.map_err(|_| {
            Failure::passing(
                ErrorKind::TimedOut,
                format!("the server sent nothing for {} s", silence.as_secs_f32()),
            )
        })
    }
}
