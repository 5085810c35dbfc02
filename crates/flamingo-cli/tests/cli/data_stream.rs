//! `flamingo data stream`: killed and started again, it goes on where it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor};
use std::path::Path;
use std::process::{Command, Stdio};

use image::{ImageFormat, Rgb, RgbImage};

use super::{fails, flamingo};

/// Shards of captioned pictures, as uncompressed tar archives.
fn shards(folder: &Path) {
    for shard in 0..3u8 {
        let mut archive = tar::Builder::new(File::create(folder.join(format!("{shard}.tar"))).unwrap());
        for record in 0..30u8 {
            let mut png = Cursor::new(Vec::new());
            let picture = RgbImage::from_pixel(9, 7, Rgb([shard * 80, record * 8, 7]));
            picture.write_to(&mut png, ImageFormat::Png).unwrap();
            let caption = "a picture ".repeat(1 + usize::from(record) % 7);
            for (extension, bytes) in [("png", png.into_inner()), ("txt", caption.into_bytes())] {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                archive.append_data(&mut header, format!("{record:03}.{extension}"), &bytes[..]).unwrap();
            }
        }
        archive.finish().unwrap();
    }
}

const STREAM: [&str; 8] = ["data", "stream", "pairs:*.tar", "--digest", "--batch", "4", "--size", "32"];

/// The digest of each batch by its number, and the number of the last one.
fn digests(lines: impl Iterator<Item = String>, into: &mut BTreeMap<u64, String>) {
    for line in lines {
        let Some((number, digest)) = line.split_once(' ').filter(|_| !line.starts_with('{')) else {
            continue;
        };
        let digest = digest.to_owned();
        let before = into.insert(number.parse().unwrap(), digest.clone());
        assert!(before.is_none_or(|before| before == digest), "batch {number} is another one now");
    }
}

#[test]
fn a_killed_stream_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    shards(folder.path());
    let whole = flamingo(folder.path(), &[&STREAM[..], &["--batches", "120"]].concat());
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let mut expected = BTreeMap::new();
    digests(String::from_utf8(whole.stdout).unwrap().lines().map(str::to_owned), &mut expected);
    assert_eq!(expected.len(), 120);

    let resumable = ["--state", "state.json", "--state-every", "3", "--workers", "1"];
    let mut given = BTreeMap::new();
    for lines in [7, 25, 1] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_flamingo"))
            .current_dir(folder.path())
            .args(STREAM)
            .args(resumable)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        digests(stdout.by_ref().take(lines), &mut given);
        child.kill().unwrap();
        child.wait().unwrap();
        digests(stdout, &mut given);
    }
    let rest = flamingo(folder.path(), &[&STREAM[..], &resumable, &["--batches", "40"]].concat());
    let text = String::from_utf8(rest.stdout).unwrap();
    digests(text.lines().map(str::to_owned), &mut given);
    assert!(text.contains(r#""records_per_second":"#), "{text}");
    assert!(given.len() > 40);
    for (number, digest) in given.range(..=120) {
        assert_eq!(expected[number], *digest, "batch {number}");
    }
}

#[test]
fn a_source_that_is_none_says_what_one_looks_like() {
    fails(&["data", "stream", "shards"], 2, &["FORMAT:PATTERN"]);
    fails(&["data", "stream", "pears:*.tar"], 3, &["no format \"pears\"", "did you mean \"pairs\""]);
}
