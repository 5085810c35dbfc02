//! Odd files, one by one: what is read of each, or what is said about it. Also programs that misbehave.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use super::*;

/// Makes a clip of ffmpeg's own sources.
fn make(folder: &TempDir, name: &str, arguments: &[&str]) -> PathBuf {
    let path = folder.path().join(name);
    let made = Command::new("ffmpeg").args(["-nostdin", "-v", "error"]).args(arguments).arg(&path).status();
    assert!(made.unwrap().success(), "{name}");
    path
}

/// A clip of 3 s that ends in another name than its contents would have.
fn renamed(folder: &TempDir, from: &Path, to: &str) -> PathBuf {
    let path = folder.path().join(to);
    std::fs::copy(from, &path).unwrap();
    path
}

#[test]
fn odd_sizes_are_kept() {
    let Some(folder) = workshop("odd_sizes_are_kept") else { return };
    for (width, height) in [(17, 13), (1, 1), (3, 200), (641, 1)] {
        let scale = format!("scale={width}:{height}");
        let path = encode(&folder, &format!("{width}.mkv"), 15, &[&LOSSLESS[..], &["-vf", &scale]].concat());
        let pictures = frames(&path, &PROMPT).unwrap();
        let sizes: Vec<_> = pictures.iter().map(RgbaImage::dimensions).collect();
        assert_eq!(sizes, [(width, height); 2]);
    }
    // Colours at half size, which an odd side does not divide into.
    let arguments = ["-f", "lavfi", "-i", "testsrc=s=33x17:d=2:r=5", "-c:v", "mpeg4", "-pix_fmt", "yuv420p"];
    assert_eq!(frames(&make(&folder, "odd.avi", &arguments), &PROMPT).unwrap()[1].dimensions(), (33, 17));
}

/// Ten minutes, of which 30 frames are read from end to end, or 8 from anywhere.
#[test]
fn long_clips_are_seen_from_end_to_end() {
    let Some(folder) = workshop("long_clips_are_seen_from_end_to_end") else { return };
    let path = encode(&folder, "long.mkv", 6_000, &LOSSLESS);
    let expected: Vec<u8> = (0..30).map(|moment| (moment * 200) as u8).collect();
    assert_eq!(numbers(&path, &FrameSampling::prompt()), expected);
    let last = FrameSampling { coverage: Coverage::Window(1.0), ..FrameSampling::training() };
    let expected: Vec<u8> = (592..600).map(|second| (second * 10) as u8).collect();
    assert_eq!(numbers(&path, &last), expected);
}

/// Where the table of contents is in front, or there is none, what is there of a cut file is read; where it was at the
/// end, nothing can be.
#[test]
fn of_cut_files_what_is_there_is_read() {
    let Some(folder) = workshop("of_cut_files_what_is_there_is_read") else { return };
    let cut = |name: &str, arguments: &[&str]| {
        let path = encode(&folder, name, 100, arguments);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
        path
    };
    let mpeg4 = ["-c:v", "mpeg4", "-q:v", "1", "-g", "1"];
    for (name, arguments) in [
        ("cut.mkv", LOSSLESS.to_vec()),
        ("cut.mp4", [&mpeg4[..], &["-movflags", "+faststart"]].concat()),
        ("cut.ts", mpeg4.to_vec()),
    ] {
        let pictures = frames(&cut(name, &arguments), &PROMPT).unwrap();
        assert!((4..=7).contains(&pictures.len()), "{name}: {} of 10", pictures.len());
        let second = pictures[1][(2, 2)][0];
        assert!(second.abs_diff(10) < 6, "{name}: frame 10 and not {second}");
    }
    let error = frames(&cut("late.mp4", &mpeg4), &PROMPT).unwrap_err();
    assert!(matches!(error, DataError::VideoProgram { program: "ffprobe", .. }), "{error}");
    assert_eq!(error.reason(), crate::Reason::BadVideo);
    assert!(error.to_string().contains("late.mp4") && error.to_string().contains("moov"), "{error}");
}

#[test]
fn an_empty_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nothing.mp4");
    std::fs::write(&path, b"").unwrap();
    let error = frames(&path, &PROMPT).unwrap_err();
    assert!(matches!(error, DataError::NotAVideo { .. }), "{error}");
    assert!(error.to_string().contains("nothing.mp4") && error.to_string().contains("empty"), "{error}");
}

#[test]
fn a_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clips.mp4");
    std::fs::create_dir(&path).unwrap();
    let error = frames(&path, &PROMPT).unwrap_err();
    assert!(matches!(&error, DataError::Io { path: named, .. } if *named == path), "{error}");
    assert!(error.to_string().to_lowercase().contains("directory"), "{error}");
}

/// The format is told by the contents.
#[test]
fn endings_do_not_matter() {
    let Some(folder) = workshop("endings_do_not_matter") else { return };
    let video = encode(&folder, "clip.mkv", 25, &LOSSLESS);
    for ending in ["clip.mp4", "clip.jpg", "clip.gif", "clip.txt", "clip", "clip.m3u8"] {
        assert_eq!(numbers(&renamed(&folder, &video, ending), &PROMPT), [0, 10, 20], "{ending}");
    }
    let moving = make(&folder, "moving.gif", &["-f", "lavfi", "-i", "testsrc=s=16x16:d=3:r=10"]);
    let still = make(&folder, "still.png", &["-f", "lavfi", "-i", "testsrc=s=16x16:d=1:r=1"]);
    assert_eq!(frames(&renamed(&folder, &moving, "moving.mp4"), &PROMPT).unwrap().len(), 3);
    assert_eq!(frames(&renamed(&folder, &still, "still.mkv"), &PROMPT).unwrap().len(), 1);
}

#[test]
fn a_clip_within_one_interval_has_its_first_frame() {
    let Some(folder) = workshop("a_clip_within_one_interval_has_its_first_frame") else { return };
    let mp4 = ["-c:v", "mpeg4", "-q:v", "1"];
    for (name, count) in [("one.mp4", 1), ("few.mp4", 4)] {
        let path = encode(&folder, name, count, &mp4);
        for sampling in [FrameSampling::prompt(), FrameSampling::training()] {
            let pictures = frames(&path, &sampling).unwrap();
            assert_eq!(pictures.len(), 1, "{name}");
            assert!(pictures[0][(2, 2)][0] < 20, "{name}: {:?}", pictures[0][(2, 2)]);
        }
    }
}

/// Sound alone, and sound with a cover picture, as music files have it.
#[test]
fn sound_is_told_from_pictures() {
    let Some(folder) = workshop("sound_is_told_from_pictures") else { return };
    let sine = ["-f", "lavfi", "-i", "sine=d=2"];
    let cover = make(&folder, "cover.png", &["-f", "lavfi", "-i", "testsrc=s=64x64:d=1:r=1"]);
    let cover = cover.display().to_string();
    let with_cover = [
        "-i",
        &cover,
        "-map",
        "0",
        "-map",
        "1",
        "-c:a",
        "aac",
        "-c:v",
        "copy",
        "-disposition:v",
        "attached_pic",
    ];
    for (name, more) in
        [("song.m4a", &["-c:a", "aac"][..]), ("song.flac", &["-c:a", "flac"]), ("cover.m4a", &with_cover)]
    {
        let error = frames(&make(&folder, name, &[&sine[..], more].concat()), &PROMPT).unwrap_err();
        assert!(matches!(error, DataError::NotAVideo { .. }), "{name}: {error}");
        assert!(error.to_string().contains("only sound"), "{name}: {error}");
        assert_eq!(error.reason(), crate::Reason::BadVideo);
    }
}

/// A program for the test, in place of one of ffmpeg's.
fn program(folder: &TempDir, name: &str, script: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const TWO_SECONDS: &str =
    "echo 'pts_time=0|dts_time=0|duration_time=2|flags=K_'; echo 'format_name=matroska'";

/// Programs that hang before, within and after their output are ended, and the clip is said to be the matter.
#[test]
fn a_program_that_hangs_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let header = "printf 'P7\\nWIDTH 1\\nHEIGHT 1\\nDEPTH 4\\nMAXVAL 255\\nTUPLTYPE RGB_ALPHA\\nENDHDR\\n'";
    let good = format!("{header}; printf abcd; {header}; printf efgh");
    let hang = "exec sleep 100";
    let cases: [(&str, &str, String, &str); 6] = [
        ("ffprobe", hang, good.clone(), "has said nothing"),
        ("ffprobe", &format!("{TWO_SECONDS}; {hang}"), good.clone(), "has said nothing"),
        ("ffmpeg", TWO_SECONDS, format!("echo loading >&2; {hang}"), "loading"),
        ("ffmpeg", TWO_SECONDS, format!("{header}; printf ab; {hang}"), "has said nothing"),
        ("ffmpeg", TWO_SECONDS, format!("{good}; exec >&-; {hang}"), "does not end"),
        ("ffmpeg", TWO_SECONDS, format!("{header}; printf ab"), "`ffmpeg`"),
    ];
    let read = |ffprobe: &str, ffmpeg: &str, patience| {
        let programs = Programs {
            ffprobe: program(&folder, "ffprobe", ffprobe),
            ffmpeg: program(&folder, "ffmpeg", ffmpeg),
            patience,
        };
        programs.frames("clip.mp4".as_ref(), "clip.mp4", &Interval::WHOLE, &PROMPT)
    };
    for (guilty, ffprobe, ffmpeg, expected) in cases {
        let started = Instant::now();
        let error = read(ffprobe, &ffmpeg, Duration::from_millis(400)).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(20), "{ffmpeg}");
        assert!(matches!(&error, DataError::VideoProgram { program, .. } if *program == guilty), "{error}");
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains("clip.mp4"), "{ffmpeg}: {text}");
    }
    let pictures = read(TWO_SECONDS, &good, Duration::from_secs(20)).unwrap();
    assert_eq!(pictures.iter().map(|picture| picture[(0, 0)].0).collect::<Vec<_>>(), [*b"abcd", *b"efgh"]);
}

/// What a program says without ever ending a line takes no memory.
#[test]
fn an_endless_line_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let programs = Programs {
        ffprobe: program(&folder, "ffprobe", TWO_SECONDS),
        ffmpeg: program(&folder, "ffmpeg", "exec tr '\\0' x < /dev/zero"),
        patience: Duration::from_secs(20),
    };
    let error = programs.frames("clip.mp4".as_ref(), "clip.mp4", &Interval::WHOLE, &PROMPT).unwrap_err();
    assert!(error.to_string().contains("sent no picture"), "{error}");
}

/// Says what is said where `PATH` has no ffmpeg; only [`without_ffmpeg_the_message_helps`] runs it.
#[test]
#[ignore = "runs in a process of its own"]
fn says_what_is_missing() {
    let error = frames_from_bytes(b"\x1a\x45\xdf\xa3 a film", "film.mkv", &PROMPT).unwrap_err();
    assert!(matches!(error, DataError::MissingProgram { .. }), "{error}");
    writeln!(io::stdout(), "{error}").unwrap();
}

#[test]
fn without_ffmpeg_the_message_helps() {
    let nowhere = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "video::ffmpeg::tests::odd::says_what_is_missing"])
        .env("PATH", nowhere.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success() && text.contains("1 passed"), "{text}");
    for part in ["film.mkv", "`ffprobe`", "apt install ffmpeg", "PATH"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
