//! Clips whose frames tell their own number, made by ffmpeg itself. Without it, tests say that they did not run.

#[cfg(unix)]
mod odd;

use std::io::Write;
use std::process::Stdio;

use tempfile::TempDir;

use super::*;
use crate::video::{Coverage, frames, frames_from_bytes, frames_from_bytes_within, frames_within};

const PROMPT: FrameSampling = FrameSampling { fps: 1.0, max_frames: 30, coverage: Coverage::Whole };

/// A folder for clips, if there is an ffmpeg to make and read them.
fn workshop(test: &str) -> Option<TempDir> {
    let runs = |program| Command::new(program).arg("-version").output().is_ok();
    if runs("ffmpeg") && runs("ffprobe") {
        return Some(tempfile::tempdir().unwrap());
    }
    // Not `eprintln`, whose output is hidden when a test passes.
    writeln!(io::stderr(), "{test}: NOT RUN, for lack of ffmpeg").unwrap();
    None
}

/// Side of the frames, in pixels.
const SIDE: usize = 16;

/// Frame `n` is red in its left half, in a shade that tells `n`, and blue in its right half.
fn frame(n: usize) -> Vec<u8> {
    let pixel = |position: usize| if position % SIDE < SIDE / 2 { [n as u8, 0, 0] } else { [0, 0, 255] };
    (0..SIDE * SIDE).flat_map(pixel).collect()
}

/// Encodes `count` frames, 10 a second, with more `arguments`.
fn encode(folder: &TempDir, name: &str, count: usize, arguments: &[&str]) -> PathBuf {
    let path = folder.path().join(name);
    let size = format!("{SIDE}x{SIDE}");
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size, "-r", "10", "-i", "pipe:0"])
        .args(arguments)
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    (0..count).for_each(|n| pipe.write_all(&frame(n)).unwrap());
    drop(pipe);
    assert!(child.wait().unwrap().success());
    path
}

/// No loss, so that the shades stay what they are.
const LOSSLESS: [&str; 4] = ["-c:v", "ffv1", "-pix_fmt", "bgr0"];

/// The numbers of the frames that are read.
fn numbers(path: &Path, sampling: &FrameSampling) -> Vec<u8> {
    frames(path, sampling).unwrap().iter().map(|picture| picture[(2, 2)][0]).collect()
}

#[test]
fn frames_are_those_shown_at_the_moments() {
    let Some(folder) = workshop("frames_are_those_shown_at_the_moments") else { return };
    let path = encode(&folder, "steady.mkv", 200, &LOSSLESS);
    let sampling = |fps, max_frames, coverage| FrameSampling { fps, max_frames, coverage };
    let tens: Vec<u8> = (0..20).map(|second| second * 10).collect();
    assert_eq!(numbers(&path, &PROMPT), tens);
    assert_eq!(numbers(&path, &sampling(1.0, 8, Coverage::Window(0.0))), tens[..8]);
    assert_eq!(numbers(&path, &sampling(1.0, 8, Coverage::Window(0.5))), tens[6..14]);
    assert_eq!(numbers(&path, &sampling(1.0, 8, Coverage::Window(1.0))), tens[12..]);
    assert_eq!(numbers(&path, &sampling(1.0, 1, Coverage::Window(1.0))), tens[19..]);
    assert_eq!(numbers(&path, &sampling(1.0, 8, Coverage::Whole)), [0, 25, 50, 75, 100, 125, 150, 175]);
    assert_eq!(numbers(&path, &sampling(3.0, 6, Coverage::Window(0.0))), [0, 3, 6, 10, 13, 16]);
    assert_eq!(numbers(&path, &sampling(10.0, 300, Coverage::Whole)), (0..200).collect::<Vec<u8>>());

    let first = &frames(&path, &PROMPT).unwrap()[1];
    assert_eq!(
        (first.dimensions(), first[(12, 8)].0),
        ((16, 16), [0, 0, 255, 255]),
        "size and colours are kept"
    );
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(frames_from_bytes(&bytes, "a clip", &PROMPT).unwrap()[1], *first);
}

#[test]
fn a_part_is_read_as_a_clip_of_its_own() {
    let Some(folder) = workshop("a_part_is_read_as_a_clip_of_its_own") else { return };
    let path = encode(&folder, "long.mkv", 200, &LOSSLESS);
    let bytes = std::fs::read(&path).unwrap();
    let part = |start, end, sampling: &FrameSampling| -> Vec<u8> {
        let interval = Interval::new(start, end).unwrap();
        let pictures = frames_within(&path, &interval, sampling).unwrap();
        assert_eq!(frames_from_bytes_within(&bytes, "long", &interval, sampling).unwrap(), pictures);
        pictures.iter().map(|picture| picture[(2, 2)][0]).collect()
    };
    let four = |coverage| FrameSampling { fps: 1.0, max_frames: 4, coverage };
    assert_eq!(part(5.0, Some(8.0), &PROMPT), [50, 60, 70]);
    assert_eq!(part(5.04, Some(8.05), &PROMPT), [50, 60, 70, 80], "what is shown then");
    assert_eq!(part(17.5, None, &PROMPT), [175, 185, 195]);
    assert_eq!(part(17.5, Some(99.0), &PROMPT), [175, 185, 195], "cut off at the end");
    assert_eq!(part(19.9, None, &PROMPT), [199]);
    assert_eq!(part(3.0, Some(3.01), &PROMPT), [30]);
    assert_eq!(part(2.0, Some(12.0), &four(Coverage::Whole)), [20, 45, 70, 95]);
    assert_eq!(part(2.0, Some(12.0), &four(Coverage::Window(0.0))), [20, 30, 40, 50]);
    assert_eq!(part(2.0, Some(12.0), &four(Coverage::Window(1.0))), [80, 90, 100, 110]);
    let outside = Interval::new(20.0, Some(30.0)).unwrap();
    let error = frames_within(&path, &outside, &PROMPT).unwrap_err();
    assert!(matches!(error, DataError::IntervalOutside { duration: 20.0, .. }), "{error}");
    assert_eq!(error.reason(), crate::Reason::BadDescription);
}

/// Frame 10 stays for 1.7 s, the following ones likewise.
#[test]
fn variable_rates_go_by_the_clock() {
    let Some(folder) = workshop("variable_rates_go_by_the_clock") else { return };
    let slow = ["-vf", "setpts='if(lt(N,10),N,10+(N-10)*17)'"];
    let path = encode(&folder, "variable.mkv", 14, &[&LOSSLESS[..], &slow].concat());
    // They appear at 1.0, 2.7, 4.4 and 6.1 s.
    assert_eq!(numbers(&path, &PROMPT), [0, 10, 10, 11, 11, 12, 12]);
    let part = frames_within(&path, &Interval::new(2.5, Some(5.5)).unwrap(), &PROMPT).unwrap();
    assert_eq!(part.iter().map(|picture| picture[(2, 2)][0]).collect::<Vec<u8>>(), [10, 11, 12]);
}

/// A clip that is shorter than a second, one frame, and a stream without times.
#[test]
fn odd_lengths_have_their_frames() {
    let Some(folder) = workshop("odd_lengths_have_their_frames") else { return };
    assert_eq!(numbers(&encode(&folder, "short.mkv", 3, &LOSSLESS), &PROMPT), [0]);
    assert_eq!(numbers(&encode(&folder, "one.mkv", 1, &LOSSLESS), &PROMPT), [0]);
    let raw = encode(&folder, "raw.m4v", 25, &["-c:v", "mpeg4", "-q:v", "1"]);
    assert_eq!(frames(&raw, &PROMPT).unwrap().len(), 3);
}

/// As telephones write it: the pictures as the sensor saw them, and a matrix that turns them clockwise.
#[test]
fn rotation_is_applied() {
    let Some(folder) = workshop("rotation_is_applied") else { return };
    let path = encode(&folder, "turned.mp4", 256, &["-c:v", "mpeg4", "-q:v", "1", "-vf", "scale=32:16"]);
    let mut bytes = std::fs::read(&path).unwrap();
    let track = bytes.windows(4).position(|name| name == b"tkhd").unwrap();
    let matrix = |values: [i32; 4]| {
        let [a, b, c, d] = values.map(|value| value << 16);
        [a, b, 0, c, d, 0, 0, 0, 1 << 30].into_iter().flat_map(i32::to_be_bytes).collect::<Vec<u8>>()
    };
    let upright = matrix([1, 0, 0, 1]);
    let at = track + bytes[track..].windows(36).position(|window| window == upright).unwrap();
    bytes[at..at + 36].copy_from_slice(&matrix([0, 1, -1, 0]));
    std::fs::write(&path, bytes).unwrap();

    let last = frames(&path, &PROMPT).unwrap().pop().unwrap();
    assert_eq!(last.dimensions(), (16, 32));
    assert!(last[(8, 4)][0] > 200 && last[(8, 4)][2] < 60, "left became upper: {:?}", last[(8, 4)]);
    assert!(last[(8, 28)][2] > 200 && last[(8, 28)][0] < 60, "right became lower: {:?}", last[(8, 28)]);
}

#[test]
fn what_has_no_pictures_is_told() {
    let Some(folder) = workshop("what_has_no_pictures_is_told") else { return };
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    // A second of silence.
    let mut sound =
        b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0"
            .to_vec();
    sound.resize(44 + 8000, 128);
    let error = frames(&write("song.wav", &sound), &PROMPT).unwrap_err();
    assert!(matches!(error, DataError::NotAVideo { .. }), "{error}");
    assert!(error.to_string().contains("only sound"), "{error}");

    encode(&folder, "clip.mkv", 3, &LOSSLESS);
    let error = frames(&write("list.mkv", b"ffconcat version 1.0\nfile clip.mkv\n"), &PROMPT).unwrap_err();
    assert!(error.to_string().contains("list of other files"), "{error}");

    let error = frames(&write("broken.mp4", b"no such thing as a video"), &PROMPT).unwrap_err();
    assert!(matches!(error, DataError::VideoProgram { program: "ffprobe", .. }), "{error}");
    assert!(error.to_string().lines().count() > 1, "its last words: {error}");
}

#[test]
fn an_absent_program_is_told() {
    let nothing =
        Programs { ffmpeg: "no-such-ffmpeg".into(), ffprobe: "no-such-ffprobe".into(), patience: PATIENCE };
    let error = nothing.frames("clip.mp4".as_ref(), "clip.mp4", &Interval::WHOLE, &PROMPT).unwrap_err();
    assert!(matches!(error, DataError::MissingProgram { program: "ffprobe", .. }), "{error}");
}

#[test]
fn the_track_spans_what_is_shown() {
    let mut track = Track::default();
    for line in [
        "pts_time=-0.100000|dts_time=-0.2|duration_time=0.040000|flags=KD",
        "pts_time=0.080000|dts_time=0.000000|duration_time=0.040000|flags=K_",
        "pts_time=0.120000|dts_time=0.000000|duration_time=N/A|flags=__",
        "pts_time=0.100000|dts_time=0.000000|duration_time=0.040000|flags=__",
        "format_name=mov,mp4",
    ] {
        track.read(line);
    }
    assert_eq!((track.span, track.format.as_str()), (Some((0.08, 0.14)), "mov,mp4"));
}

#[test]
fn only_pictures_are_read_as_such() {
    let read = |text: &str| pam_size(&mut text.as_bytes()).map_err(|error| error.to_string());
    assert_eq!(read(""), Ok(None));
    let header = "P7\nWIDTH 3\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n";
    assert_eq!(read(header), Ok(Some((3, 2))));
    for broken in
        ["P7\nWIDTH 3\n", "P7\nHEIGHT 2\nENDHDR\n", "P7\nWIDTH three\nHEIGHT 2\nENDHDR\n", "hello\n"]
    {
        assert!(read(broken).unwrap_err().contains("sent no picture"), "{broken:?}");
    }
}
