//! The terminal while a dashboard is on it.
//!
//! Burn's dashboard puts the terminal into raw mode, in which Ctrl-C is a key like any other, and one that the dashboard does
//! not know. Here it is made a signal again, so that it means what it always means: a checkpoint, and the end.

use std::io::{Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

static OPEN: AtomicBool = AtomicBool::new(false);

/// Whether a dashboard is on the terminal: nothing else should write there.
pub fn is_taken() -> bool {
    OPEN.load(Ordering::Relaxed)
}

/// Gives the terminal back at once, for a process that ends without unwinding. Does nothing if no dashboard is on it.
pub fn restore() {
    if OPEN.swap(false, Ordering::Relaxed) {
        modes::restore();
        // Out of the reports of the mouse and of the second screen; the cursor on.
        let _ = stdout().write_all(b"\x1b[?1000;1002;1003;1006;1015l\x1b[?1049l\x1b[?25h");
        let _ = stdout().flush();
    }
}

/// A dashboard is about to open.
#[cfg(feature = "dashboard")]
pub(crate) fn before() {
    modes::remember();
    OPEN.store(true, Ordering::Relaxed);
}

/// A dashboard's thread was started: waits until it is in raw mode, then lets Ctrl-C be a signal.
#[cfg(feature = "dashboard")]
pub(crate) fn after() {
    modes::signals_on();
}

/// A dashboard has closed, and left the terminal as it was.
#[cfg(feature = "dashboard")]
pub(crate) fn closed() {
    OPEN.store(false, Ordering::Relaxed);
}

#[cfg(all(unix, feature = "dashboard"))]
mod modes {
    use std::io::stdin;
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
    /// How long a dashboard may take to open.
    const PATIENCE: Duration = Duration::from_secs(2);

    pub(super) fn remember() {
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = tcgetattr(stdin()).ok();
    }

    pub(super) fn restore() {
        if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The process is about to end; there is nobody to tell.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
        }
    }

    pub(super) fn signals_on() {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let Ok(mut modes) = tcgetattr(stdin()) else { return };
            if !modes.local_modes.contains(LocalModes::ICANON) {
                modes.local_modes |= LocalModes::ISIG;
                // Suspending or dumping core would leave the second screen on.
                modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
                modes.special_codes[SpecialCodeIndex::VQUIT] = 0;
                let _ = tcsetattr(stdin(), OptionalActions::Now, &modes);
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Elsewhere the dashboard's own key, `q`, is the way to stop.
#[cfg(not(all(unix, feature = "dashboard")))]
mod modes {
    #[cfg(feature = "dashboard")]
    pub(super) fn remember() {}

    pub(super) fn restore() {}

    #[cfg(feature = "dashboard")]
    pub(super) fn signals_on() {}
}
