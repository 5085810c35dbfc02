//! A case: a name, the work that it is, how it is prepared, and how a peer is told to do the same.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::count::Work;

/// What belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// What the machine can do; measured whatever else is.
    Ceiling,
    /// Single operations, in the sizes of `smol`.
    Micro,
    /// Images to features.
    Vision,
    /// A prompt is read.
    Prefill,
    /// The next token, behind a prompt.
    Decode,
    /// An update: batch to new weights.
    Train,
    /// Shards to batches.
    Data,
    /// A few-shot query is scored.
    Eval,
}

impl Suite {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Ceiling => "ceiling",
            Suite::Micro => "micro",
            Suite::Vision => "vision",
            Suite::Prefill => "prefill",
            Suite::Decode => "decode",
            Suite::Train => "train",
            Suite::Data => "data",
            Suite::Eval => "eval",
        }
    }
}

/// Makes a case's inputs, none of which is measured.
pub type Prepare = Box<dyn Fn(&Context) -> anyhow::Result<Prepared>>;

/// One thing that is measured.
pub struct Case {
    pub suite: Suite,
    pub name: &'static str,
    /// What one of it is, in a line.
    pub about: &'static str,
    /// What one of it takes, counted.
    pub work: Work,
    /// What the peers are told; `None` where nobody does the same.
    pub peer: Option<Value>,
    /// Makes everything that is not measured.
    pub prepare: Prepare,
}

/// Where a case is measured.
#[derive(Debug, Clone)]
pub struct Context {
    pub device: Device,
    /// Whether that is the processor.
    pub is_cpu: bool,
    /// Threads that are to be used.
    pub threads: usize,
    /// A folder with the files of [`crate::assets`].
    pub assets: PathBuf,
}

impl Case {
    /// `SUITE/CASE`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.suite.name(), self.name)
    }

    /// Whether nothing goes on between two repetitions, so that sides can take turns. Workers of a data path read on while
    /// nobody waits for them.
    pub fn pauses(&self) -> bool {
        self.suite != Suite::Data
    }
}

/// Tells milliseconds for as long as the answer is true.
pub type Timed = Box<dyn FnOnce(&mut dyn FnMut(f64) -> bool) -> anyhow::Result<()>>;

/// A case that is ready.
pub enum Prepared {
    /// Is called again and again; a call does `of` of the case.
    Repeat { call: Box<dyn FnMut() -> anyhow::Result<()>>, of: f64 },
    /// Does it again and again, and tells how many milliseconds each took, the first one included, until it is told to stop.
    Timed(Timed),
}

impl Prepared {
    /// Something that is done once in every call.
    pub fn each(call: impl FnMut() -> anyhow::Result<()> + 'static) -> Self {
        Self::Repeat { call: Box::new(call), of: 1.0 }
    }
}
