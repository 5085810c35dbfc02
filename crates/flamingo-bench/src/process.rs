//! A process that measures one case, and waits for its turns.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::{Context, anyhow};

use crate::measure::{END, READY, Sample, TURN};

/// Ends with its value.
pub struct Process {
    what: String,
    child: Child,
    /// Where it reads that it is its turn.
    turns: ChildStdin,
    output: BufReader<ChildStdout>,
    /// A file, because a pipe that nobody reads fills up.
    complaints: File,
    /// What it printed last.
    last: String,
}

impl Process {
    /// Starts it, and returns when it waits for its first turn or has ended.
    pub fn start(command: &mut Command, what: String) -> anyhow::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let complaints = tempfile::tempfile().context("cannot make a temporary file")?;
        let stderr = complaints.try_clone().context("cannot make a temporary file")?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("{what}: cannot start {program}"))?;
        let (turns, output) =
            child.stdin.take().zip(child.stdout.take()).context("a process has no pipes")?;
        let mut process =
            Self { what, child, turns, output: BufReader::new(output), complaints, last: String::new() };
        process.listen()?;
        Ok(process)
    }

    /// Gives it a turn, and returns when that is over: the median of what it repeated, in ms.
    pub fn turn(&mut self) -> anyhow::Result<f64> {
        self.tell(TURN);
        match self.listen()? {
            Some(median) => Ok(median),
            None => Err(self.failure()),
        }
    }

    /// Tells it that there are no more turns, and gives the sample that it prints last.
    pub fn finish(mut self) -> anyhow::Result<Sample> {
        self.tell(END);
        while self.listen()?.is_some() {}
        if !self.wait()?.success() {
            return Err(self.failure());
        }
        serde_json::from_str(&self.last)
            .with_context(|| format!("{} printed no sample: {:?} {}", self.what, self.last, self.complaint()))
    }

    fn tell(&mut self, word: &str) {
        // One that has ended reads nothing; how it ended tells why.
        let _ = writeln!(self.turns, "{word}");
    }

    /// Reads until it waits, and gives the milliseconds that it tells then; `None` if it has ended.
    fn listen(&mut self) -> anyhow::Result<Option<f64>> {
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line);
            if read.with_context(|| format!("{}: cannot read what it prints", self.what))? == 0 {
                return Ok(None);
            }
            if let Some(ms) = line.strip_prefix(READY) {
                let ms = ms.trim().parse();
                return ms.map(Some).with_context(|| format!("{}: no time in {line:?}", self.what));
            }
            self.last = line.trim().to_owned();
        }
    }

    fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.wait().with_context(|| format!("{}: cannot wait", self.what))
    }

    /// Why there is no sample from a process that has ended.
    fn failure(&mut self) -> anyhow::Error {
        match self.wait() {
            Ok(status) => anyhow!("{} failed ({status}): {}", self.what, self.complaint()),
            Err(error) => error,
        }
    }

    /// The last lines of what it complained about.
    fn complaint(&self) -> String {
        const LINES: usize = 12;
        let mut bytes = Vec::new();
        // What cannot be read back is not there to be quoted.
        let mut file = &self.complaints;
        let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.trim().lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Does nothing to one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
pub mod tests {
    use super::*;

    /// Prints a sample, for a shell.
    pub const GOOD: &str =
        r#"echo '{"cold_ms": 2.0, "turns_ms": [[1.0]], "start_mb": null, "peak_mb": 3.0, "faults": null}'"#;

    /// Waits for a turn, for a shell; false if there is none.
    pub const TURN_GIVEN: &str = r#"echo ready 4.5; read line; test "$line" = turn;"#;

    fn shell(script: &str) -> anyhow::Result<Process> {
        Process::start(Command::new("sh").args(["-c", script]), "a case".to_owned())
    }

    #[test]
    fn a_process_prints_its_sample_last_and_its_failure_is_quoted() {
        let read = shell(&format!("echo hello; {GOOD}")).unwrap().finish().unwrap();
        assert_eq!((read.cold_ms, read.turns_ms, read.peak_mb), (2.0, vec![vec![1.0]], Some(3.0)));
        let error = shell("echo out of luck >&2; exit 3").unwrap().finish().unwrap_err().to_string();
        assert!(error.starts_with("a case failed") && error.ends_with("out of luck"), "{error}");
        assert!(shell("echo nothing").unwrap().finish().unwrap_err().to_string().contains("no sample"));
        let error = shell("echo ready soon").err().unwrap().to_string();
        assert!(error.contains("no time in \"ready soon"), "{error}");
    }

    #[test]
    fn turns_are_given_until_it_is_told_to_end() {
        let mut process = shell(&format!("while {TURN_GIVEN} do echo noise; done; {GOOD}")).unwrap();
        assert_eq!(process.turn().unwrap(), 4.5);
        assert_eq!(process.turn().unwrap(), 4.5);
        assert_eq!(process.finish().unwrap().cold_ms, 2.0);
        // One that ends while it has its turn.
        let mut process = shell(&format!("{TURN_GIVEN} echo too bad >&2; exit 4")).unwrap();
        assert!(process.turn().unwrap_err().to_string().ends_with("too bad"));
    }

    #[test]
    fn much_to_complain_about_blocks_nobody() {
        let process = shell(&format!("yes long | head -c 300000 >&2; {GOOD}")).unwrap();
        assert!(process.finish().is_ok());
    }
}
