//! The few-shot protocol: which examples a query gets, how a model is asked, and everything that decided a score.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use flamingo::{DeviceSpec, Engine, Pretrained};
//! use flamingo_eval::protocol::{Journal, Protocol, Settings};
//! # use flamingo_eval::task::{Files, Task};
//! # fn ask(task: &dyn Task, files: &Files) -> Result<(), flamingo_eval::EvalError> {
//! let items = task.load(files)?;
//! let device = "auto".parse::<DeviceSpec>().and_then(|spec| spec.resolve()).expect("a device");
//! let mut engine = Engine::new(Pretrained::open("runs/first-light", &device)?);
//! let settings = Settings { shots: vec![0, 4, 8], queries: Some(1000), ..Settings::default() };
//! let mut protocol = Protocol::new(&mut engine, task, &items, settings);
//! let mut journal = Journal::open("coco.jsonl".as_ref(), &protocol.decided()?)?;
//! let result = protocol.run(&mut journal, &mut |standing| {
//!     println!("{} of {}", standing.done, standing.of);
//!     ControlFlow::Continue(())
//! })?;
//! result.expect("nobody stopped it").write("coco.json".as_ref())?;
//! # Ok(())
//! # }
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `settings` | every choice, checked |
//! | `draw`, `choose` | random choices, each a pure function of a seed and its purpose; examples by seed, by likeness, by name |
//! | `pooled`, `rices` | what the encoder makes of media, on disk; the most similar |
//! | `wording` | prompts, candidates, generation options |
//! | `run` | the evaluation |
//! | `journal`, `result` | what was said; what came of it |
//! | `progress` | a bar |
//!
//! The paper's protocol (section 3.2, appendix B.1.5) is the default: examples from a support set of 2048 items (32 of each
//! class for classification), 0 to 32 shots, beams as the task has them, two examples without media at 0 shots of open-ended
//! tasks. OpenFlamingo's (`evaluate.py` of 2.0.1) differs where [`PromptStyle::OpenFlamingo`](crate::task::PromptStyle) says
//! so: those two examples for all tasks, an item's first text as its answer, candidates tokenized apart from the prompt.
//! At 0 shots of classification its program shows the first example's image in the query's place; here it is the query's.
//! Its random examples depend on the order in which queries are asked, and are not drawn here; [`Examples::Given`] takes any.
//!
//! A resumed evaluation has the result of one that was never interrupted, but for rounding: what was read before the
//! interruption is read again, in other pieces.

mod choose;
pub mod draw;
pub mod journal;
pub mod pooled;
pub mod progress;
pub mod result;
pub mod rices;
mod run;
pub mod settings;
pub mod wording;

pub use choose::Given;
pub use journal::{Answer, Journal, LeftOut, Role};
pub use pooled::PooledCache;
pub use progress::Bar;
pub use result::{AnswerResult, ShotsResult, TaskResult, TrialResult};
pub use rices::Rices;
pub use run::{Protocol, Stage, Standing, Watch};
pub use settings::{Examples, Settings, Support};
pub use wording::{Prompter, written};
