//! Ctrl-C and SIGTERM for verbs that take long: the first one asks for a clean end, the second ends at once.

use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// What is set once a person wants an end. `first` says what will happen then; `second` is the last that is done.
pub fn listen(
    first: impl Fn() + Send + 'static,
    second: impl Fn() + Send + 'static,
) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            second();
            exit(130);
        }
        first();
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
