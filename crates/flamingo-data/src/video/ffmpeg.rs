//! Any other video, through the programs `ffprobe` and `ffmpeg`.
//!
//! `ffprobe` lists when the packets of the first picture track are shown, which takes no decoding and holds for
//! variable rates and cut files, whose headers may say anything about their length. `ffmpeg` then decodes the clip and
//! sends what is shown at the wanted moments, one picture after another. It turns pictures upright itself.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use image::RgbaImage;

use super::job::Job;
use super::sampling::{Moments, TOLERANCE};
use super::{FrameSampling, Interval, check_size};
use crate::DataError;

/// How long a program may be silent. Between two frames of a long clip lie minutes of video to be decoded.
const PATIENCE: Duration = Duration::from_secs(120);

/// Formats that are lists of other files, or text.
const NO_VIDEOS: [&str; 5] = ["concat", "hls", "dash", "imf", "tty"];

/// The longest line of a picture's header, and of a packet's description, in bytes.
const LINE: u64 = 4096;

/// The programs, by their paths, or by names that are looked up in `PATH`.
pub(super) struct Programs {
    pub ffmpeg: PathBuf,
    pub ffprobe: PathBuf,
    /// How long they may be silent.
    pub patience: Duration,
}

impl Default for Programs {
    fn default() -> Self {
        Self { ffmpeg: "ffmpeg".into(), ffprobe: "ffprobe".into(), patience: PATIENCE }
    }
}

impl Programs {
    /// The frames of a part of `path`, which errors call `name`, that `sampling` asks for.
    pub fn frames(
        &self,
        path: &Path,
        name: &str,
        interval: &Interval,
        sampling: &FrameSampling,
    ) -> Result<Vec<RgbaImage>, DataError> {
        let duration = self.duration(path, name)?;
        let moments = sampling.moments(interval.length_in(duration, name)?).after(interval.start());
        let arguments = |command: &mut Command| {
            command.args(["-nostdin", "-v", "error"]);
            input(command, path);
            // V: a cover in a music file is no video.
            command.args([
                "-map",
                "0:V:0",
                "-vf",
                &filters(moments),
                "-frames:v",
                &moments.count.to_string(),
            ]);
            command.args(["-c:v", "pam", "-pix_fmt", "rgba", "-f", "image2pipe", "pipe:1"]);
        };
        let mut job = Job::start("ffmpeg", &self.ffmpeg, arguments, name, self.patience)?;
        let mut pictures = Vec::new();
        loop {
            match pam_size(&mut job) {
                Ok(None) => break,
                Ok(Some((width, height))) => {
                    check_size(name, width, height, moments.count)?;
                    let mut picture = RgbaImage::new(width, height);
                    job.read_exact(&mut picture).map_err(|error| job.failed(&error.to_string()))?;
                    pictures.push(picture);
                }
                Err(error) => return Err(job.failed(&error.to_string())),
            }
        }
        if pictures.is_empty() {
            return Err(job.failed("could decode no picture"));
        }
        job.finish()?;
        Ok(pictures)
    }

    /// From the first picture's appearance to the last one's end, in seconds.
    fn duration(&self, path: &Path, name: &str) -> Result<f64, DataError> {
        let arguments = |command: &mut Command| {
            command.args(["-v", "error", "-select_streams", "V:0"]);
            command
                .args(["-show_entries", "packet=pts_time,dts_time,duration_time,flags:format=format_name"]);
            command.args(["-of", "compact=p=0:nk=0"]);
            input(command, path);
        };
        let mut job = Job::start("ffprobe", &self.ffprobe, arguments, name, self.patience)?;
        let (mut track, mut line) = (Track::default(), Vec::new());
        loop {
            line.clear();
            match job.by_ref().take(LINE).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => track.read(&String::from_utf8_lossy(&line)),
                Err(error) => return Err(job.failed(&error.to_string())),
            }
        }
        job.finish()?;

        let unusable = |reason: String| Err(DataError::NotAVideo { name: name.to_owned(), reason });
        if let Some(kind) = track.format.split(',').find(|kind| NO_VIDEOS.contains(kind)) {
            return unusable(format!("it is text, or a list of other files (ffmpeg calls it {kind:?})"));
        }
        match track.span {
            Some((first, last)) => Ok(last - first),
            None => unusable(format!("it has no moving pictures, only sound or data ({})", track.format)),
        }
    }
}

/// Names the input, which may be nothing but this file: a playlist could otherwise make ffmpeg open connections.
fn input(command: &mut Command, path: &Path) {
    let mut url = std::ffi::OsString::from("file:");
    url.push(path);
    command.args(["-protocol_whitelist", "file,pipe", "-i"]).arg(url);
}

/// What makes ffmpeg send the pictures shown at `moments`.
fn filters(moments: Moments) -> String {
    if moments.count == 1 && moments.start == 0.0 {
        // As it is: a single picture may have no duration, and `fps` would drop it.
        return "null".to_owned();
    }
    let before = ((moments.start + TOLERANCE) * 1e6).round();
    // `fps` with round=up keeps, at each of its ticks, the last picture that appeared no later; those before the first
    // tick are negative. `tpad` repeats the last picture, in case the length was rounded up.
    format!(
        "settb=AVTB,setpts=PTS-STARTPTS-{before},fps=fps={}:round=up:start_time=0,tpad=stop=-1:stop_mode=clone",
        moments.rate
    )
}

/// What `ffprobe` says about the picture track.
#[derive(Default)]
struct Track {
    /// Names of the format, separated by commas.
    format: String,
    /// When the first picture appears and the last one ends, in seconds.
    span: Option<(f64, f64)>,
}

impl Track {
    /// Reads a line of the kind `pts_time=0.040000|dts_time=0.000000|duration_time=0.040000|flags=K_`.
    fn read(&mut self, line: &str) {
        let field = |name: &str| {
            line.trim_end().split('|').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        if let Some(format) = field("format_name") {
            self.format = format.to_owned();
        }
        // No packet, or one that is decoded but cut away by the file's edit list (D).
        if field("flags").is_none_or(|flags| flags.contains('D')) {
            return;
        }
        let seconds = |name: &str| field(name)?.parse::<f64>().ok().filter(|time| time.is_finite());
        // A stream without a container has no times: its pictures follow each other.
        let start = seconds("pts_time").or_else(|| seconds("dts_time"));
        let start = start.unwrap_or_else(|| self.span.map_or(0.0, |(_, end)| end));
        let end = start + seconds("duration_time").unwrap_or(0.0).max(0.0);
        self.span = Some(self.span.map_or((start, end), |(first, last)| (first.min(start), last.max(end))));
    }
}

/// Width and height from the header of an RGBA picture in PAM format; `None` at the end of the input.
fn pam_size(input: &mut impl BufRead) -> io::Result<Option<(u32, u32)>> {
    let (mut width, mut height) = (None, None);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 && width.is_none() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        match text.trim_end().split_once(' ').unwrap_or((text.trim_end(), "")) {
            ("WIDTH", value) => width = value.parse().ok(),
            ("HEIGHT", value) => height = value.parse().ok(),
            ("P7" | "DEPTH" | "MAXVAL" | "TUPLTYPE", _) => {}
            ("ENDHDR", _) if width.is_some() && height.is_some() => return Ok(width.zip(height)),
            _ => return Err(io::Error::other(format!("sent no picture but {text:?}"))),
        }
    }
}

#[cfg(test)]
mod tests;
