//! `flamingo data stream`: reads training data as training would, and says how fast.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flamingo::FlamingoError;
use flamingo::data::stream::{Stream, StreamBatch, StreamSpec, StreamState};
use flamingo::data::{DataError, PretrainedEncoder, Store, TextEncoder, TextTokenizer};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};

use super::sources::Sources;
use crate::verbs::output::print;

/// Read training data as training would, and print how fast it comes
///
/// The last line of the output is a JSON object with counts and rates.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,
    /// Stop after so many batches
    #[arg(long, value_name = "N")]
    batches: Option<u64>,
    /// Stop after so many seconds
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Rows in a batch
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// Side of the images, in pixels
    #[arg(long, value_name = "I")]
    size: Option<usize>,
    /// Threads; as many as the machine has if not given
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// A tokenizer.json, a folder with one, or a GGUF file; without it, every byte is a token
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// The share of bad records, 0 to 1, that ends the stream
    #[arg(long, value_name = "SHARE")]
    max_reject_rate: Option<f64>,
    /// Write bad records to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Continue from this file if it is there, and keep the stream's state in it
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Batches from one state to the next
    #[arg(long, value_name = "N", default_value_t = 50, requires = "state")]
    state_every: u64,
    /// Print the number and a digest of every batch
    #[arg(long)]
    digest: bool,
}

/// What was read, and how fast.
#[derive(Debug, Default, Serialize)]
struct Summary {
    batches: u64,
    records: usize,
    images: usize,
    tokens: usize,
    /// Share of padding among the tokens.
    pad_share: f64,
    rejected: u64,
    rejects: String,
    seconds: f64,
    /// Until the first batch was there.
    seconds_to_first: f64,
    records_per_second: f64,
    images_per_second: f64,
    tokens_per_second: f64,
    most_resident_bytes: u64,
    #[serde(skip)]
    cells: usize,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let spec = spec(args)?;
    let start = Instant::now();
    let mut stream = open(args, spec).map_err(FlamingoError::from)?;
    let begun = stream.state().batches;
    let (mut summary, mut memory) = (Summary::default(), Memory::new());
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{elapsed} {msg}")?);
    let wanted = |summary: &Summary| {
        args.batches.is_none_or(|batches| summary.batches < batches)
            && args.seconds.is_none_or(|seconds| start.elapsed().as_secs_f64() < seconds)
    };
    let mut shown = Instant::now();
    while wanted(&summary) {
        let Some(batch) = stream.next() else { break };
        let batch = batch.map_err(FlamingoError::from)?;
        summary.add(&batch, start.elapsed());
        if args.digest {
            print(&format!("{} {}\n", begun + summary.batches, batch.digest()))?;
        }
        if summary.batches.is_multiple_of(args.state_every.max(1)) {
            save(args, &stream)?;
        }
        if shown.elapsed() > Duration::from_millis(500) {
            shown = Instant::now();
            summary.measure(start.elapsed(), &mut memory);
            bar.set_message(summary.line(stream.rejects().rejected()));
        }
    }
    save(args, &stream)?;
    bar.finish_and_clear();
    summary.measure(start.elapsed(), &mut memory);
    summary.rejected = stream.rejects().rejected();
    summary.rejects = stream.rejects().summary();
    print(&(serde_json::to_string(&summary)? + "\n"))?;
    Ok(())
}

/// The configuration, and what the flags change of it.
fn spec(args: &Args) -> anyhow::Result<StreamSpec> {
    let mut spec = args.sources.spec()?;
    spec.batch = args.batch.unwrap_or(spec.batch);
    spec.pixels.preprocess.size = args.size.unwrap_or(spec.pixels.preprocess.size);
    spec.workers = args.workers.or(spec.workers);
    spec.max_reject_rate = args.max_reject_rate.unwrap_or(spec.max_reject_rate);
    spec.rejects = args.rejects.clone().or(spec.rejects);
    Ok(spec)
}

fn open(args: &Args, spec: StreamSpec) -> Result<Stream, DataError> {
    let encoder: Arc<dyn TextEncoder> = match &args.tokenizer {
        Some(path) => Arc::new(PretrainedEncoder::open(path)?),
        None => Arc::new(TextTokenizer::train([""], 259)?),
    };
    let store = Store::default();
    match args.state.as_ref().filter(|path| path.exists()) {
        Some(path) => Stream::resume(spec, &store, encoder, StreamState::load(path)?),
        None => Stream::open(spec, &store, encoder),
    }
}

fn save(args: &Args, stream: &Stream) -> Result<(), FlamingoError> {
    match &args.state {
        Some(path) => Ok(stream.state().save(path)?),
        None => Ok(()),
    }
}

impl Summary {
    fn add(&mut self, batch: &StreamBatch, elapsed: Duration) {
        if self.batches == 0 {
            self.seconds_to_first = elapsed.as_secs_f64();
        }
        self.batches += 1;
        self.records += batch.rows.len();
        self.images += batch.media;
        self.tokens += batch.tokens;
        self.cells += batch.host.ids.len();
    }

    fn measure(&mut self, elapsed: Duration, memory: &mut Memory) {
        self.seconds = elapsed.as_secs_f64();
        let rate = |count: usize| count as f64 / elapsed.as_secs_f64();
        self.records_per_second = rate(self.records);
        self.images_per_second = rate(self.images);
        self.tokens_per_second = rate(self.tokens);
        self.pad_share = 1.0 - self.tokens as f64 / self.cells.max(1) as f64;
        self.most_resident_bytes = self.most_resident_bytes.max(memory.resident());
    }

    fn line(&self, rejected: u64) -> String {
        format!(
            "{} batches, {:.0} records/s, {:.0} images/s, {:.0} tokens/s, {:.1} % padding, {} MiB, {rejected} rejected",
            self.batches,
            self.records_per_second,
            self.images_per_second,
            self.tokens_per_second,
            100.0 * self.pad_share,
            self.most_resident_bytes >> 20,
        )
    }
}

/// This process's memory.
struct Memory(System);

impl Memory {
    fn new() -> Self {
        Self(System::new())
    }

    /// Bytes of it in main memory; 0 where the system does not tell.
    fn resident(&mut self) -> u64 {
        let Ok(own) = get_current_pid() else { return 0 };
        let memory = ProcessRefreshKind::nothing().with_memory();
        self.0.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, memory);
        self.0.process(own).map_or(0, sysinfo::Process::memory)
    }
}
