//! Whoever is beside us: PyTorch, as programs in `torch/` that this binary carries, started with an interpreter that has the
//! packages; or another build of this program.

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
    /// Another build of this program, by its own argument.
    #[value(skip)]
    Build,
}

impl Peer {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Torch => "torch",
            Peer::TorchCompile => "torch-compile",
            Peer::Build => "other build",
        }
    }

    /// Whether it does `case`.
    pub fn does(self, case: &Case) -> bool {
        self == Peer::Build || case.peer.is_some()
    }
}

/// The peers of a run, ready to be started.
#[derive(Debug)]
pub struct Peers {
    pub list: Vec<Peer>,
    /// The program of [`Peer::Build`]; it speaks of turns as this one does.
    pub build: Option<PathBuf>,
    python: PathBuf,
    /// With the programs; empty if there are no peers.
    programs: Option<TempDir>,
}

impl Peers {
    /// Puts PyTorch's programs where the interpreter finds them.
    pub fn new(list: &[Peer], python: Option<&Path>, build: Option<&Path>) -> anyhow::Result<Self> {
        let mut distinct = Vec::new();
        for peer in list.iter().copied().chain(build.map(|_| Peer::Build)) {
            if !distinct.contains(&peer) {
                distinct.push(peer);
            }
        }
        let build = match build {
            // Relative to the folder in which this one was started, whatever the system's path is.
            Some(path) => {
                Some(path.canonicalize().with_context(|| format!("no program {}", path.display()))?)
            }
            None => None,
        };
        if list.is_empty() {
            return Ok(Self { list: distinct, build, python: PathBuf::new(), programs: None });
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
        Ok(Self { list: distinct, build, python: python.to_owned(), programs: Some(folder) })
    }

    /// A process of PyTorch's.
    pub fn torch(&self, peer: Peer, case: &Case, run: &Run, assets: &Path) -> anyhow::Result<Command> {
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
        assert!(Peers::new(&[], None, None).unwrap().list.is_empty());
        assert!(Peers::new(&[Peer::Torch], None, None).unwrap_err().to_string().contains("--python"));
        let peers = Peers::new(&[Peer::Torch, Peer::Torch], Some(Path::new("python")), None).unwrap();
        assert_eq!(peers.list, [Peer::Torch]);
        let folder = peers.programs.as_ref().unwrap().path();
        assert!(PROGRAMS.iter().all(|(name, _)| folder.join(name).is_file()));
    }

    #[test]
    fn another_build_needs_no_interpreter_and_does_every_case() {
        let here = std::env::current_exe().unwrap();
        let peers = Peers::new(&[], None, Some(&here)).unwrap();
        assert_eq!((peers.list.as_slice(), peers.build.is_some()), ([Peer::Build].as_slice(), true));
        let error = Peers::new(&[], None, Some(Path::new("no/such"))).unwrap_err().to_string();
        assert!(error.contains("no/such"), "{error}");
        let cases = crate::suites::select(&[], &[]).unwrap();
        assert!(cases.iter().all(|case| Peer::Build.does(case)));
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
