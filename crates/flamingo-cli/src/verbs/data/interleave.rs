//! `flamingo data interleave`: web pages to interleaved documents.

use std::path::PathBuf;
use std::sync::Mutex;

use flamingo::FlamingoError;
use flamingo::data::interleave::{
    Compression, DocumentRules, ImageRules, InterleaveSpec, Progress, ShardRules, Stage, interleave,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::Usage;
use crate::verbs::output::print;

/// Turn a folder of web pages into documents of text and images, in shards; killed and run again, it goes on
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of pages (.html, .htm, .xhtml, also in folders below) and of their images
    #[arg(long, value_name = "DIR")]
    html: PathBuf,
    /// The folder to write shards, report.json and rejects.jsonl to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The URL that the folder of pages stands for
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Leading folders of a page's path that name its site: 1 for a mirror with a folder for each host
    #[arg(long, value_name = "N", default_value_t = 0)]
    site_depth: usize,
    /// Keep documents in this language only (a code such as en); may be given several times
    #[arg(long, value_name = "CODE")]
    language: Vec<String>,
    /// Fewest words of a document
    #[arg(long, value_name = "N", default_value_t = DocumentRules::default().min_words)]
    min_words: usize,
    /// Most words of a document
    #[arg(long, value_name = "N", default_value_t = DocumentRules::default().max_words)]
    max_words: usize,
    /// Keep only documents that pass Gopher's rules of quality and repetition, as in the paper
    #[arg(long)]
    gopher: bool,
    /// Let the alternative text of an image follow it as text
    #[arg(long)]
    alt_text: bool,
    /// Shortest side of an image, in pixels
    #[arg(long, value_name = "N", default_value_t = ImageRules::default().min_side)]
    min_side: u32,
    /// Longest side of an image over its shortest
    #[arg(long, value_name = "X", default_value_t = ImageRules::default().max_aspect)]
    max_aspect: f64,
    /// Drop images that are on more pages than this
    #[arg(long, value_name = "N", default_value_t = ImageRules::default().max_pages)]
    max_pages: usize,
    /// Drop images that are on more than this share of their site's pages
    #[arg(long, value_name = "X", default_value_t = ImageRules::default().max_site_share)]
    max_site_share: f64,
    /// Drop images that look like one of these: an evaluation set, as a folder of images or shards; may be given
    /// several times
    #[arg(long, value_name = "DIR")]
    exclude_like: Vec<PathBuf>,
    /// Bits of 64 in which the fingerprints of two images differ at most if they look alike
    #[arg(long, value_name = "N", default_value_t = ImageRules::default().exclude_radius)]
    exclude_radius: u32,
    /// Documents in a shard
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    shard_size: usize,
    /// Compression of shards
    #[arg(long, value_enum, default_value_t = Compress::None)]
    compress: Compress,
    /// Stop if more than this share of pages and images cannot be used
    #[arg(long, value_name = "X", default_value_t = 0.1)]
    max_reject_rate: f64,
}

/// Compression of shards.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Compress {
    None,
    Gz,
    Zst,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    if !(0.0..=1.0).contains(&args.max_reject_rate) {
        return Err(Usage("--max-reject-rate: expected a share from 0 to 1".to_owned()).into());
    }
    let bar = Bar::default();
    let report = interleave(&spec(args), &args.out, args.max_reject_rate, &|progress| bar.show(progress));
    bar.clear();
    let report = report.map_err(FlamingoError::from)?;
    Ok(print(&format!("{report}\n"))?)
}

fn spec(args: &Args) -> InterleaveSpec {
    InterleaveSpec {
        base_url: args.base_url.clone(),
        site_depth: args.site_depth,
        images: ImageRules {
            min_side: args.min_side,
            max_aspect: args.max_aspect,
            max_pages: args.max_pages,
            max_site_share: args.max_site_share,
            exclude_like: args.exclude_like.clone(),
            exclude_radius: args.exclude_radius,
            ..ImageRules::default()
        },
        documents: DocumentRules {
            languages: args.language.clone(),
            min_words: args.min_words,
            max_words: args.max_words,
            gopher: args.gopher,
            alt_as_text: args.alt_text,
        },
        shards: ShardRules {
            size: args.shard_size,
            compression: match args.compress {
                Compress::None => Compression::None,
                Compress::Gz => Compression::Gzip,
                Compress::Zst => Compression::Zstd,
            },
        },
        ..InterleaveSpec::new(&args.html)
    }
}

/// A progress bar for each stage; nothing where nobody watches.
#[derive(Default)]
struct Bar(Mutex<Option<(Stage, ProgressBar)>>);

impl Bar {
    fn show(&self, progress: Progress) {
        let Ok(mut shown) = self.0.lock() else { return };
        let (_, bar) = match shown.take().filter(|(stage, _)| *stage == progress.stage) {
            Some(same) => shown.insert(same),
            None => shown.insert((progress.stage, new_bar(progress))),
        };
        // Threads report in any order.
        bar.set_position(bar.position().max(progress.done as u64));
    }

    fn clear(&self) {
        if let Ok(mut shown) = self.0.lock()
            && let Some((_, bar)) = shown.take()
        {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(progress: Progress) -> ProgressBar {
    let bar = ProgressBar::new(progress.total as u64);
    if let Ok(style) = ProgressStyle::with_template("{prefix:>10} {wide_bar} {pos}/{len} ({eta})") {
        bar.set_style(style);
    }
    bar.set_prefix(progress.stage.to_string());
    bar
}
