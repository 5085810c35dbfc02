//! Ctrl-C while the model answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Context;

const IDLE: u8 = 0;
const ANSWERING: u8 = 1;
const STOPPING: u8 = 2;

/// Whether the person wants the present answer to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// From now on, Ctrl-C ends an answer. A second one before it has ended, or a signal while there is none (as a line
    /// is edited, Ctrl-C is a key and no signal), ends the program.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let state = interrupt.0.clone();
        ctrlc::set_handler(move || {
            let stopped = state.compare_exchange(ANSWERING, STOPPING, Ordering::Relaxed, Ordering::Relaxed);
            if stopped.is_err() {
                std::process::exit(130);
            }
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(interrupt)
    }

    /// What `answer` does can be interrupted.
    pub fn during<T>(&self, answer: impl FnOnce() -> T) -> T {
        self.0.store(ANSWERING, Ordering::Relaxed);
        let result = answer();
        self.0.store(IDLE, Ordering::Relaxed);
        result
    }

    /// Whether Ctrl-C came since the answer began.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed) == STOPPING
    }
}
