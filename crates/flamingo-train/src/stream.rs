//! Endless sources of batches that can be continued where they stopped.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use serde_json::Value;

/// Why a stream has no next batch: the data pipeline's own error, or a panic in it.
#[derive(Debug)]
pub struct StreamError(pub Box<dyn Error + Send + Sync>);

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// An endless source of batches whose place can be written into a checkpoint.
pub trait BatchStream: Send {
    /// What one update takes from this source.
    type Batch;

    /// The next batch; waits for it.
    ///
    /// # Errors
    ///
    /// Whatever keeps the data pipeline from making the batch. The stream is of no use afterwards.
    fn next(&mut self) -> Result<Self::Batch, StreamError>;

    /// The stream's place, for a checkpoint. It says which batch `next` would give, prefetched ones not counted.
    fn state(&self) -> Value;

    /// Goes to the place that an earlier [`state`](Self::state) described.
    ///
    /// # Errors
    ///
    /// If `state` is none of this stream's.
    fn restore(&mut self, state: &Value) -> Result<(), StreamError>;
}

type Make<B> = dyn Fn(u64) -> Result<B, StreamError> + Send + Sync;

/// A stream whose batch `k` is a pure function of `k`: its whole state is the next index.
///
/// A background thread makes batches ahead of time, in order. The thread starts with the first `next` and ends
/// when the stream is dropped.
///
/// ```
/// use flamingo_train::{BatchStream, Indexed};
///
/// let mut squares = Indexed::new(2, |k| Ok::<_, std::io::Error>(k * k));
/// assert_eq!([squares.next()?, squares.next()?, squares.next()?], [0, 1, 4]);
/// assert_eq!(squares.state(), 3);
/// # Ok::<(), flamingo_train::StreamError>(())
/// ```
pub struct Indexed<B> {
    make: Arc<Make<B>>,
    ahead: usize,
    index: u64,
    worker: Option<Worker<B>>,
}

impl<B: Send + 'static> Indexed<B> {
    /// A stream of `make(0)`, `make(1)`, …, of which up to `ahead` finished batches wait in a queue.
    pub fn new<E>(ahead: usize, make: impl Fn(u64) -> Result<B, E> + Send + Sync + 'static) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let make = move |index| make(index).map_err(|error| StreamError(error.into()));
        Self { make: Arc::new(make), ahead, index: 0, worker: None }
    }
}

impl<B: Send + 'static> BatchStream for Indexed<B> {
    type Batch = B;

    fn next(&mut self) -> Result<B, StreamError> {
        let (make, ahead, index) = (&self.make, self.ahead, self.index);
        let worker = self.worker.get_or_insert_with(|| Worker::start(Arc::clone(make), ahead, index));
        let batch = worker.receive(index)?;
        self.index += 1;
        Ok(batch)
    }

    fn state(&self) -> Value {
        self.index.into()
    }

    fn restore(&mut self, state: &Value) -> Result<(), StreamError> {
        let index = state.as_u64().ok_or_else(|| {
            StreamError(format!("expected the index of a batch as the stream's state, found {state}").into())
        })?;
        self.worker = None;
        self.index = index;
        Ok(())
    }
}

/// The thread behind an [`Indexed`] stream.
struct Worker<B> {
    // Both are `Some` until the worker is dropped or has failed.
    queue: Option<Receiver<Result<B, StreamError>>>,
    thread: Option<JoinHandle<()>>,
}

impl<B: Send + 'static> Worker<B> {
    fn start(make: Arc<Make<B>>, ahead: usize, first: u64) -> Self {
        let (sender, queue) = sync_channel(ahead);
        let thread = thread::spawn(move || fill(&*make, first, &sender));
        Self { queue: Some(queue), thread: Some(thread) }
    }

    fn receive(&mut self, index: u64) -> Result<B, StreamError> {
        match self.queue.as_ref().map(Receiver::recv) {
            Some(Ok(result)) => result,
            // The sender is gone: the thread panicked, or gave its error to an earlier call.
            _ => Err(self.post_mortem(index)),
        }
    }

    fn post_mortem(&mut self, index: u64) -> StreamError {
        let panic = self.thread.take().and_then(|thread| thread.join().err());
        let reason = match &panic {
            Some(payload) => payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned()),
            None => "it failed before".to_owned(),
        };
        StreamError(format!("the thread that makes batches ended at batch {index}: {reason}").into())
    }
}

impl<B> Drop for Worker<B> {
    fn drop(&mut self) {
        // Closing the queue ends the thread at its next send.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Makes batches from `first` on, until one fails or nobody listens any more.
fn fill<B>(make: &Make<B>, first: u64, sender: &SyncSender<Result<B, StreamError>>) {
    for index in first.. {
        let batch = make(index);
        let failed = batch.is_err();
        if sender.send(batch).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_restored_stream_goes_on_where_the_other_stopped() {
        let fresh = || Indexed::new(3, |k| Ok::<_, StreamError>(k * 10));
        let mut first = fresh();
        for k in 0..5 {
            assert_eq!(first.next().unwrap(), k * 10);
        }
        let mut second = fresh();
        second.restore(&first.state()).unwrap();
        assert_eq!(first.next().unwrap(), second.next().unwrap());
        assert!(second.restore(&Value::from("five")).unwrap_err().to_string().contains("five"));
    }

    #[test]
    fn the_queue_is_bounded_and_the_thread_ends_with_the_stream() {
        let made = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&made);
        let mut stream = Indexed::new(2, move |k| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<_, StreamError>(k)
        });
        stream.next().unwrap();
        drop(stream);
        // One delivered, two queued, at most two more in the thread's hands around the drop.
        assert!(made.load(Ordering::SeqCst) <= 5);
        assert_eq!(Arc::strong_count(&made), 1);
    }

    #[test]
    fn errors_and_panics_arrive_with_their_reason() {
        let mut failing = Indexed::new(2, |k| if k < 1 { Ok(k) } else { Err("record 7 is torn") });
        assert_eq!(failing.next().unwrap(), 0);
        assert_eq!(failing.next().unwrap_err().to_string(), "record 7 is torn");
        assert!(failing.next().unwrap_err().to_string().contains("failed before"));

        let mut panicking = Indexed::new(2, |k: u64| -> Result<u64, StreamError> { panic!("no batch {k}") });
        let error = panicking.next().unwrap_err().to_string();
        assert!(error.contains("at batch 0") && error.contains("no batch 0"), "{error}");
    }
}
