//! PyTorch beside us: programs in `torch/` that this binary carries, started with an interpreter that has the packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::json;
use tempfile::TempDir;

use crate::case::Case;
use crate::driver::Run;

/// The programs, by the names under which they import each other.
const PROGRAMS: [(&str, &str); 5] = [
    ("main.py", include_str!("../torch/main.py")),
    ("operations.py", include_str!("../torch/operations.py")),
    ("model.py", include_str!("../torch/model.py")),
    ("decoder.py", include_str!("../torch/decoder.py")),
    ("work.py", include_str!("../torch/work.py")),
];

/// Whom we are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// PyTorch as it is.
    Torch,
    /// PyTorch with `torch.compile`, where that works; compiling takes minutes, and a C++ compiler.
    TorchCompile,
}

impl Peer {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Torch => "torch",
            Peer::TorchCompile => "torch-compile",
        }
    }
}

/// The peers of a run, ready to be started.
#[derive(Debug)]
pub struct Peers {
    pub list: Vec<Peer>,
    python: PathBuf,
    /// With the programs; empty if there are no peers.
    programs: Option<TempDir>,
}

impl Peers {
    /// Puts the programs where the interpreter finds them.
    pub fn new(list: &[Peer], python: Option<&Path>) -> anyhow::Result<Self> {
        if list.is_empty() {
            return Ok(Self { list: Vec::new(), python: PathBuf::new(), programs: None });
        }
        let Some(python) = python else {
            bail!(
                "--against needs an interpreter with the packages: `cargo xtask bench --against torch` makes one, \
                 --python names one"
            )
        };
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        for (name, text) in PROGRAMS {
            std::fs::write(folder.path().join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        let mut distinct = Vec::new();
        list.iter().for_each(|peer| {
            if !distinct.contains(peer) {
                distinct.push(*peer);
            }
        });
        Ok(Self { list: distinct, python: python.to_owned(), programs: Some(folder) })
    }

    /// A process of a peer.
    pub fn command(&self, peer: Peer, case: &Case, run: &Run, assets: &Path) -> anyhow::Result<Command> {
        let folder = self.programs.as_ref().context("no peers were asked for")?;
        let device = run.device.to_string();
        let on_cuda = device == "cuda" || device.starts_with("cuda:");
        let task = json!({
            "case": case.peer,
            "threads": run.threads,
            "device": if on_cuda { device.as_str() } else { "cpu" },
            "compile": peer == Peer::TorchCompile,
            "assets": assets,
            "most": run.effort.most,
            "seconds": run.effort.time.as_secs_f64(),
        });
        let threads = run.threads.to_string();
        let mut command = Command::new(&self.python);
        command.arg(folder.path().join("main.py")).arg(task.to_string());
        command.env("OMP_NUM_THREADS", &threads).env("MKL_NUM_THREADS", &threads);
        // As we do for ourselves. Else it is by luck of the heap's layout whether PyTorch's results are made of fresh pages:
        // softmax over 49,152 scores takes 33 to 40 ms, and 13 with this; an RMS norm 0.4 or 2.4, and 0.4 with this; whole models
        // are up to a fifth faster (docs/performance.md).
        command.envs(flamingo_malloc::KEEP_FREED);
        // It should compute, and ask nobody for anything.
        command.env("HF_HUB_OFFLINE", "1").env("TOKENIZERS_PARALLELISM", "false");
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_need_an_interpreter_and_get_the_programs() {
        assert!(Peers::new(&[], None).unwrap().list.is_empty());
        assert!(Peers::new(&[Peer::Torch], None).unwrap_err().to_string().contains("--python"));
        let peers = Peers::new(&[Peer::Torch, Peer::Torch], Some(Path::new("python"))).unwrap();
        assert_eq!(peers.list, [Peer::Torch]);
        let folder = peers.programs.as_ref().unwrap().path();
        assert!(PROGRAMS.iter().all(|(name, _)| folder.join(name).is_file()));
    }

    #[test]
    fn every_kind_of_work_has_a_program() {
        let known: String = PROGRAMS.iter().map(|(_, text)| *text).collect();
        for case in crate::suites::select(&[], &[]).unwrap() {
            let Some(peer) = &case.peer else { continue };
            let kind = peer["kind"].as_str().unwrap_or_default();
            assert!(known.contains(&format!("\"{kind}\":")), "{}: {kind}", case.id());
        }
    }
}
