//! What can go wrong between the disk and a batch.

use std::io;
use std::path::PathBuf;

use flamingo_core::{OverlayError, nearest};
use thiserror::Error;

use crate::Reason;

/// Why data could not be read, written or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A shard, or the folder that should hold some, is not there.
    #[error("no shard at {}: {hint}", path.display())]
    MissingShard {
        /// Where it was looked for.
        path: PathBuf,
        /// What to do about it.
        hint: String,
    },
    /// A shard is there, but its contents are not what a shard holds.
    #[error("corrupt shard {}, {record}: {what}; fetch or rebuild the shard", path.display())]
    CorruptShard {
        /// The shard.
        path: PathBuf,
        /// The record's key, or the position where no key could be read.
        record: String,
        /// What is wrong.
        what: String,
    },
    /// A record's description lacks a field, or the field has a value that makes no sense.
    #[error("shard {}, record {record:?}: field `{field}` {what}", path.display())]
    Metadata {
        /// The shard.
        path: PathBuf,
        /// The record's key.
        record: String,
        /// The field, or the record's file extension where a whole file is missing.
        field: String,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// Bytes that should be an image are not one that can be decoded.
    #[error("{name} is not a usable image: {reason} (expected JPEG, PNG, WebP or GIF)")]
    NotAnImage {
        /// The file or record.
        name: String,
        /// What the decoder says.
        reason: String,
    },
    /// An image has more pixels, a longer side, or takes more memory than allowed.
    #[error("{name} is too large an image: {what}; scale it down, or raise the limits for images")]
    ImageTooLarge {
        /// The file or record.
        name: String,
        /// How large it is, and how large it may be.
        what: String,
    },
    /// A file has no pictures that could be the frames of a clip.
    #[error("{name} is not a usable video: {reason}")]
    NotAVideo {
        /// The file.
        name: String,
        /// What it is instead.
        reason: String,
    },
    /// A video needs a program that is not there.
    #[error(
        "{name} is no GIF, WebP, PNG or JPEG, and other videos are read by the program `{program}`, which was not found: \
         install ffmpeg (`apt install ffmpeg`, `dnf install ffmpeg-free`, `brew install ffmpeg`, `winget install ffmpeg`), \
         and see that `{program}` is on the PATH"
    )]
    MissingProgram {
        /// The file.
        name: String,
        /// The program.
        program: &'static str,
    },
    /// A program that reads videos failed, or hung.
    #[error("{name}: `{program}` {what}")]
    VideoProgram {
        /// The file.
        name: String,
        /// The program.
        program: &'static str,
        /// What happened, and the program's last words.
        what: String,
    },
    /// The frames of a clip would take too much memory or time.
    #[error("{name} is too large: {what}; take fewer frames, or scale the clip down first")]
    ClipTooLarge {
        /// The file.
        name: String,
        /// How large it is, and how large it may be.
        what: String,
    },
    /// A choice of frames that cannot be made.
    #[error("frames of a video: {what}")]
    FrameSampling {
        /// What is wrong, and what was expected.
        what: String,
    },
    /// A part of a clip that no clip can have.
    #[error(
        "from {start} s to {} is no part of a clip; expected two times in seconds, finite, not negative, \
         and the second after the first",
        end.map_or_else(|| "the end".to_owned(), |end| format!("{end} s"))
    )]
    BadInterval {
        /// Where it begins, in seconds.
        start: f64,
        /// Where it ends, in seconds, unless at the end of the clip.
        end: Option<f64>,
    },
    /// A part of a clip that this clip does not have.
    #[error(
        "{name}: the part that begins at {start} s is wanted, but the clip ends at {} s; \
         give times in seconds of the whole video, or, if the files are cut already, leave the times out",
        (duration * 1e3).round() / 1e3
    )]
    IntervalOutside {
        /// The file.
        name: String,
        /// Where the part begins, in seconds.
        start: f64,
        /// How long the clip is, in seconds.
        duration: f64,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A tokenizer file is missing or is not one that this crate can use.
    #[error("tokenizer file {}: {what}", path.display())]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A tokenizer could not be trained.
    #[error("training a tokenizer: {what}")]
    TokenizerTraining {
        /// What is wrong.
        what: String,
    },
    /// A data set has nothing of a kind that is needed.
    #[error("the data set has no {what}: {hint}")]
    Empty {
        /// What is missing.
        what: &'static str,
        /// What to do about it.
        hint: &'static str,
    },
    /// Too large a share of the records is bad.
    #[error(
        "{bad} of {all} records are bad ({summary}), more than the share of {most} that is allowed; the last one: {last}. \
         Look at them in the file of rejects; if they may be left out, allow more with --max-reject-rate"
    )]
    TooManyRejects {
        /// Bad records.
        bad: u64,
        /// All records read.
        all: u64,
        /// The share that is allowed.
        most: f64,
        /// Bad records by reason.
        summary: String,
        /// The last bad one.
        last: String,
    },
    /// Rules for making documents of web pages that make no sense.
    #[error("documents of web pages: {what}")]
    Interleave {
        /// What is wrong, and what was expected.
        what: String,
    },
    /// A folder holds the output of a run over other input, or by other rules.
    #[error(
        "{}: holds the output of another run, over other input or by other rules; name another folder, or remove this one",
        path.display()
    )]
    OtherRun {
        /// The folder.
        path: PathBuf,
    },
    /// A configuration names a format that does not exist.
    #[error("source {source_name:?}: there is no format {format:?}{} (known formats: {})", nearest::hint(format, known.iter().copied()), known.join(", "))]
    UnknownFormat {
        /// The source's name.
        source_name: String,
        /// The format that was asked for.
        format: String,
        /// The formats that there are.
        known: Vec<&'static str>,
    },
    /// An option of a source is unknown or has a value of the wrong type.
    #[error(transparent)]
    Options(#[from] OverlayError),
    /// The options of a source do not fit together, or one has a value that makes no sense.
    #[error("source {source_name:?}, options: {what}")]
    SourceOptions {
        /// The source's name.
        source_name: String,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// Episodes cannot be made as asked.
    #[error("episodes: {what}")]
    Episodes {
        /// What is wrong, and what to do about it.
        what: String,
    },
    /// A stream's settings make no sense.
    #[error("stream: {what}")]
    StreamSpec {
        /// What is wrong, and what was expected.
        what: String,
    },
    /// A state belongs to another stream.
    #[error("the state cannot be resumed: {what}")]
    StreamState {
        /// What does not fit, and what to do about it.
        what: String,
    },
    /// A shard no longer has the records that a state tells of.
    #[error(
        "shard {shard} has changed since the state was written: {what}; restore it, or start anew without the state"
    )]
    ShardChanged {
        /// The shard.
        shard: String,
        /// What is missing.
        what: String,
    },
    /// A source has no record for this process.
    #[error(
        "source {source_name:?} has no record for rank {rank} of {world}; \
         give it more shards or records, or use fewer processes"
    )]
    NothingToRead {
        /// The source's name.
        source_name: String,
        /// This process.
        rank: usize,
        /// How many processes there are.
        world: usize,
    },
    /// Features that were kept of pictures cannot be read.
    #[error("kept features, {}: {what}", path.display())]
    Features {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do about it.
        what: String,
    },
    /// Features were asked for of a picture that has none.
    #[error("{name} has no features in the cache: fill the cache with this data set before training from it")]
    NoFeatures {
        /// The picture.
        name: String,
    },
    /// Random changes were asked for of pictures whose features are read.
    #[error(
        "features that were kept are those of the unchanged pictures: take the augmentation away, or do without the \
         feature cache"
    )]
    AugmentedFeatures,
    /// A thread of a stream panicked: a fault in this program.
    #[error("a stream's thread panicked: {what}; please report it with the record that was being read")]
    StreamPanic {
        /// What it said.
        what: String,
    },
}

impl DataError {
    /// The kind of trouble, if what it befell is a record of a source: an image, a clip, a shard.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotAnImage { .. } => Reason::BadImage,
            Self::ImageTooLarge { .. } => Reason::ImageTooLarge,
            Self::NotAVideo { .. } | Self::MissingProgram { .. } | Self::VideoProgram { .. } => {
                Reason::BadVideo
            }
            Self::ClipTooLarge { .. } => Reason::TooLarge,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Reason::Missing,
            Self::MissingShard { .. } | Self::Io { .. } => Reason::UnreadableShard,
            Self::CorruptShard { .. } => Reason::CorruptShard,
            Self::Empty { .. } => Reason::Empty,
            _ => Reason::BadDescription,
        }
    }
}
