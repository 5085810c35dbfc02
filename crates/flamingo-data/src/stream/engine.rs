//! The threads of a stream.
//!
//! ```text
//! reader ── records ──▶ workers: take apart, tokenise ──▶ pooler ── batches ──▶ workers: decode, transform ──▶ Stream
//!        (bounded: pool_batches · B records, prefetch_bytes)      (bounded: prefetch)
//! ```
//!
//! Reader and pooler are one thread each; the workers are a pool that both give tasks to. Each task answers into a
//! channel of its own, and the channels are read in the order of the tasks: who was faster changes nothing. Tasks never
//! wait for anything, so the pool cannot lock up. Whoever finds the other end of its channel gone stops.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::mix::{Mix, MixState};
use super::pool;
use super::render::{self, Rendered};
use super::row::{Row, Rows};
use super::spec::StreamSpec;
use super::state::Cursor;
use crate::encoder::TextEncoder;
use crate::error::DataError;
use crate::features::FeatureLookup;
use crate::reject::Reject;

/// Rejects that are delivered together before their pool is full.
const REJECTS_TOGETHER: usize = 64;

/// What all threads see.
pub(super) struct Shared {
    pub spec: StreamSpec,
    pub encoder: Arc<dyn TextEncoder>,
    pub features: Option<Arc<dyn FeatureLookup>>,
    pub names: Vec<(String, Vec<String>)>,
    /// Set when nobody wants the answers any more.
    stop: AtomicBool,
    budget: Budget,
}

impl Shared {
    pub fn new(
        spec: StreamSpec,
        encoder: Arc<dyn TextEncoder>,
        features: Option<Arc<dyn FeatureLookup>>,
        names: Vec<(String, Vec<String>)>,
    ) -> Self {
        let budget = Budget { limit: spec.prefetch_bytes, used: Mutex::new(0), freed: Condvar::new() };
        Self { spec, encoder, features, names, stop: AtomicBool::new(false), budget }
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            encoder: &*self.encoder,
            sequence: &self.spec.sequence,
            seed: self.spec.seed,
            names: &self.names,
        }
    }

    /// Ends all threads at their next step.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.budget.freed.notify_all();
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Bytes of records between reader and pooler.
struct Budget {
    limit: usize,
    used: Mutex<usize>,
    freed: Condvar,
}

impl Budget {
    /// Waits until `bytes` fit; alone, a record of any size does.
    fn take(&self, bytes: usize, stopped: impl Fn() -> bool) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |used: &mut usize| *used > 0 && *used + bytes > self.limit && !stopped();
        // `stop` takes no lock, so a notice may be missed: hence the time limit.
        let mut used = used;
        while full(&mut used) {
            let wait = std::time::Duration::from_millis(50);
            used = self.freed.wait_timeout(used, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        *used += bytes;
    }

    fn give_back(&self, bytes: usize) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.freed.notify_all();
    }
}

/// The answer of a task, or what it said when it panicked.
type Answer<T> = Receiver<Result<T, DataError>>;

/// A record on its way to the pooler.
struct Sent {
    number: u64,
    bytes: usize,
    /// The newest snapshot, if it is newer than the last record's: its number and itself.
    snapshot: Option<(u64, Arc<MixState>)>,
    row: Answer<Result<Row, Reject>>,
}

/// What a stream gets, and where it stands after it.
pub(super) struct Delivery {
    pub cursor: Arc<Cursor>,
    /// Deliveries of the pool up to this one.
    pub delivered: usize,
    pub content: Delivered,
}

pub(super) enum Delivered {
    Batch(Answer<Result<Rendered, DataError>>),
    Rejects(Vec<Reject>),
}

/// Starts the threads.
pub(super) fn start(
    shared: &Arc<Shared>,
    mix: Mix,
    cursor: &Cursor,
) -> Result<Receiver<Result<Delivery, DataError>>, DataError> {
    let workers = shared.spec.workers.unwrap_or(0);
    let pool = ThreadPoolBuilder::new().num_threads(workers).thread_name(|at| format!("stream-{at}")).build();
    let failed = |what: String| DataError::StreamSpec { what: format!("threads cannot be started: {what}") };
    let pool = Arc::new(pool.map_err(|error| failed(error.to_string()))?);
    let (records, sent) = sync_channel(shared.spec.batch * shared.spec.pool_batches);
    let (batches, delivered) = sync_channel(shared.spec.prefetch - 1);

    let reader = Reader {
        shared: Arc::clone(shared),
        pool: Arc::clone(&pool),
        mix,
        number: cursor.read,
        first: cursor.pool_start,
        records,
    };
    let pooler = Pooler {
        shared: Arc::clone(shared),
        pool,
        snapshots: VecDeque::new(),
        number: cursor.pool,
        skip: cursor.delivered,
        batches,
    };
    let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
        thread.map(drop).map_err(|error| failed(error.to_string()))
    };
    spawn("stream-reader", Box::new(move || reader.run()))?;
    spawn("stream-pooler", Box::new(move || pooler.run(&sent)))?;
    Ok(delivered)
}

/// Runs `task` on the pool.
fn answer<T: Send + 'static>(pool: &ThreadPool, task: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    let (sender, receiver) = channel();
    pool.spawn(move || {
        // Nobody may be waiting any more.
        let _gone = sender.send(caught(task));
    });
    receiver
}

fn caught<T>(task: impl FnOnce() -> T) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(task)).map_err(|panic| DataError::StreamPanic { what: said(&*panic) })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without a message").to_owned()
}

/// What a task answered; `None` if it was stopped.
pub(super) fn wait<T>(answer: &Answer<T>) -> Option<Result<T, DataError>> {
    answer.recv().ok()
}

struct Reader {
    shared: Arc<Shared>,
    pool: Arc<ThreadPool>,
    mix: Mix,
    /// Of the next record.
    number: u64,
    /// Records before this one were delivered before.
    first: u64,
    records: SyncSender<Result<Sent, DataError>>,
}

impl Reader {
    fn run(mut self) {
        let records = self.records.clone();
        let outcome = caught(|| self.read()).and_then(|outcome| outcome);
        if let Err(error) = outcome {
            let _gone = records.send(Err(error));
        }
    }

    fn read(&mut self) -> Result<(), DataError> {
        let every = (self.shared.spec.batch * self.shared.spec.pool_batches) as u64;
        let mut snapshot = Some((self.number, Arc::new(self.mix.state())));
        while !self.shared.stopped() {
            if self.number.is_multiple_of(every) {
                snapshot = Some((self.number, Arc::new(self.mix.state())));
            }
            let Some(item) = self.mix.next()? else { break };
            let number = self.number;
            self.number += 1;
            if number < self.first {
                continue;
            }
            let bytes = item.content.as_ref().map_or(0, |unread| unread.bytes);
            self.shared.budget.take(bytes, || self.shared.stopped());
            let shared = Arc::clone(&self.shared);
            let row = answer(&self.pool, move || shared.rows().make(item));
            let sent = Sent { number, bytes, snapshot: snapshot.take(), row };
            if self.records.send(Ok(sent)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

struct Pooler {
    shared: Arc<Shared>,
    pool: Arc<ThreadPool>,
    /// Snapshots of which the last may be newer than the open pool.
    snapshots: VecDeque<(u64, Arc<MixState>)>,
    /// Of the open pool.
    number: u64,
    /// Deliveries of the first pool that were made before.
    skip: usize,
    batches: SyncSender<Result<Delivery, DataError>>,
}

/// Rows until there are enough.
#[derive(Default)]
struct Open {
    cursor: Option<Arc<Cursor>>,
    rows: Vec<Row>,
    bytes: usize,
    rejects: Vec<Reject>,
    delivered: usize,
}

/// Nobody wants more.
struct Gone;

impl Pooler {
    fn run(mut self, sent: &Receiver<Result<Sent, DataError>>) {
        let batches = self.batches.clone();
        let shared = Arc::clone(&self.shared);
        if let Err(error) = caught(|| self.work(sent)) {
            let _gone = batches.send(Err(error));
        }
        // The reader may be waiting for bytes.
        shared.stop();
    }

    fn work(&mut self, sent: &Receiver<Result<Sent, DataError>>) {
        let mut open = Open::default();
        let outcome = sent.iter().try_for_each(|record| {
            let added = record.and_then(|record| self.add(record, &mut open));
            match added {
                Ok(true) => self.close(std::mem::take(&mut open)),
                Ok(false) if open.rejects.len() >= REJECTS_TOGETHER => self.report(&mut open),
                Ok(false) => Ok(()),
                Err(error) => {
                    let _gone = self.batches.send(Err(error));
                    Err(Gone)
                }
            }
        });
        if outcome.is_ok() && !self.shared.stopped() {
            let _gone = self.close(open);
        }
    }

    /// Adds a record; `true` if the pool is full.
    fn add(&mut self, record: Sent, open: &mut Open) -> Result<bool, DataError> {
        self.snapshots.extend(record.snapshot);
        if open.cursor.is_none() {
            open.cursor = Some(self.cursor(record.number));
        }
        let row = wait(&record.row);
        self.shared.budget.give_back(record.bytes);
        let lost = || DataError::StreamPanic { what: "a worker ended without an answer".to_owned() };
        match row.ok_or_else(lost)?? {
            Ok(mut row) => {
                open.rejects.append(&mut row.losses);
                open.bytes += row.bytes();
                open.rows.push(row);
            }
            Err(reject) => open.rejects.push(reject),
        }
        let spec = &self.shared.spec;
        Ok(open.rows.len() >= spec.batch * spec.pool_batches || open.bytes >= spec.pool_bytes)
    }

    /// The place of a pool whose first record is `number`.
    fn cursor(&mut self, number: u64) -> Arc<Cursor> {
        while self.snapshots.get(1).is_some_and(|(at, _)| *at <= number) {
            self.snapshots.pop_front();
        }
        let (read, mix) = self.snapshots.front().cloned().unwrap_or_default();
        let mix = Arc::unwrap_or_clone(mix);
        Arc::new(Cursor { mix, read, pool_start: number, pool: self.number, delivered: 0 })
    }

    /// Delivers the bad records, then the batches of a pool.
    fn close(&mut self, mut open: Open) -> Result<(), Gone> {
        if !open.rejects.is_empty() {
            self.report(&mut open)?;
        }
        let (batch, batches) = (self.shared.spec.batch, self.shared.spec.pool_batches);
        let rows = std::mem::take(&mut open.rows);
        for rows in pool::arrange(rows, batch, batches, self.shared.spec.seed, self.number) {
            let shared = Arc::clone(&self.shared);
            self.deliver(&mut open, |pool| {
                Delivered::Batch(answer(pool, move || {
                    render::render(rows, &shared.spec, shared.features.as_deref(), &shared.rows())
                }))
            })?;
        }
        self.number += 1;
        self.skip = 0;
        Ok(())
    }

    fn report(&mut self, open: &mut Open) -> Result<(), Gone> {
        let rejects = std::mem::take(&mut open.rejects);
        self.deliver(open, |_| Delivered::Rejects(rejects))
    }

    fn deliver(&self, open: &mut Open, content: impl FnOnce(&ThreadPool) -> Delivered) -> Result<(), Gone> {
        open.delivered += 1;
        if open.delivered <= self.skip {
            return Ok(());
        }
        let cursor = open.cursor.clone().unwrap_or_default();
        let delivery = Delivery { cursor, delivered: open.delivered, content: content(&self.pool) };
        self.batches.send(Ok(delivery)).map_err(|_| Gone)
    }
}
