//! Hostile pictures and animations, each decoded in a process of its own, whose memory and time are measured: what is
//! refused must cost next to nothing, and what is read no more than its pixels.
//!
//! Some files are decoded by `image` without any guard as well, to see that they are bombs and that the measure sees it.

mod files;

use std::process::Command;

use crate::DataError;
use crate::image::decode;
use crate::video::{FrameSampling, frames_from_bytes};

const MIB: u64 = 1 << 20;

/// The most computing time that any of these files may take.
const SECONDS: f64 = 10.0;

/// What a process needed for one file.
#[derive(Debug)]
struct Measured {
    /// `ok 8x8 x1`, or the reason and the error.
    outcome: String,
    /// How much the memory in use grew, at most, and the addresses that were asked for, in bytes.
    resident: u64,
    addresses: u64,
    seconds: f64,
}

/// Decodes `bytes` in a process of its own, as an `image`, a `clip`, or `unguarded`.
fn measure(how: &str, bytes: &[u8]) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile");
    std::fs::write(&file, bytes).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "hostile::decodes_one_file"])
        .env("FLAMINGO_HOSTILE", format!("{how}:{}", file.display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("measured|"));
    let line = line.unwrap_or_else(|| panic!("{how}: {text}\n{}", String::from_utf8_lossy(&child.stderr)));
    let fields: Vec<&str> = line.splitn(4, '|').collect();
    let measured = Measured {
        resident: fields[0].parse().unwrap(),
        addresses: fields[1].parse().unwrap(),
        seconds: fields[2].parse().unwrap(),
        outcome: fields[3].to_owned(),
    };
    println!("{how}, {} bytes: {measured:?}", bytes.len());
    measured
}

/// The other process of [`measure`].
#[test]
#[ignore = "runs in a process of its own"]
fn decodes_one_file() {
    let task = std::env::var("FLAMINGO_HOSTILE").expect("set by `measure`");
    let (how, path) = task.split_once(':').unwrap();
    let bytes = std::fs::read(path).unwrap();
    // A picture of no importance, so that what is set up once counts before.
    decode(&files::good_png(), "good").unwrap();
    let (resident, addresses, seconds) = (peak("VmHWM:"), peak("VmPeak:"), computed());
    let outcome = match how {
        "image" => decode(&bytes, "hostile").map(|picture| vec![picture]),
        "clip" => frames_from_bytes(&bytes, "hostile", &FrameSampling::training()),
        _ => unguarded(&bytes),
    };
    let seconds = computed() - seconds;
    let outcome = match outcome {
        Ok(pictures) => format!("ok {}x{} x{}", pictures[0].width(), pictures[0].height(), pictures.len()),
        Err(error) => format!("{}: {error}", error.reason()).replace('\n', " "),
    };
    let (resident, addresses) = (peak("VmHWM:") - resident, peak("VmPeak:") - addresses);
    println!("\nmeasured|{resident}|{addresses}|{seconds}|{outcome}");
}

/// A peak of this process so far, in bytes.
fn peak(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What this thread has computed so far, in seconds. Not the time on the clock: the machine may have other work to do.
fn computed() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // Behind the name, which may have spaces: the fields from number 3 on; 14 and 15 are hundredths of a second.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// As a program does that believes every file.
fn unguarded(bytes: &[u8]) -> Result<Vec<image::RgbaImage>, DataError> {
    use image::{DynamicImage, ImageDecoder, ImageReader};
    let read = || -> image::ImageResult<DynamicImage> {
        let mut reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format()?;
        reader.no_limits();
        let mut decoder = reader.into_decoder()?;
        let _ = decoder.orientation();
        DynamicImage::from_decoder(decoder)
    };
    read()
        .map(|picture| vec![picture.into_rgba8()])
        .map_err(|error| DataError::NotAnImage { name: "hostile".to_owned(), reason: error.to_string() })
}

/// Checks what came of a file: how its outcome begins, and the most memory in MiB.
#[track_caller]
fn check(how: &str, bytes: &[u8], expected: &str, most: u64) {
    let measured = measure(how, bytes);
    assert!(measured.outcome.starts_with(expected), "{how}, expected {expected}: {measured:?}");
    assert!(measured.resident <= most * MIB, "{how}, over {most} MiB in use: {measured:?}");
    assert!(measured.addresses <= (most + 600) * MIB, "{how}, too much asked for: {measured:?}");
    assert!(measured.seconds < SECONDS, "{how}: {measured:?}");
}

#[test]
fn the_measure_sees_memory() {
    let measured = measure("image", &files::plain_png(6000, 6000));
    assert!(measured.outcome.starts_with("ok 6000x6000"), "{measured:?}");
    assert!(measured.resident > 130 * MIB, "36 million pixels of 4 bytes: {measured:?}");
}

/// Half a gigabyte and more, compressed into metadata that nobody reads.
#[test]
fn metadata_of_a_png_are_not_unpacked() {
    let bomb = files::zeros(900);
    let profile = files::png(8, 8, &[(*b"iCCP", &[&b"icc\0\0"[..], &bomb].concat())], &files::idat(8, 8));
    let measured = measure("unguarded", &profile);
    assert!(measured.resident > 300 * MIB, "a bomb that does not go off: {measured:?}");
    check("image", &profile, "ok 8x8", 16);

    let text = [&b"Comment\0\0"[..], &bomb].concat();
    let xmp = [&b"XML:com.adobe.xmp\0\x01\0\0\0"[..], &bomb].concat();
    for (kind, contents) in [(*b"zTXt", text), (*b"iTXt", xmp)] {
        let before = files::png(8, 8, &[(kind, &contents)], &files::idat(8, 8));
        check("image", &before, "ok 8x8", 16);
        check("clip", &before, "ok 8x8", 16);
        let mut after = files::good_png();
        let end = after.len() - 12;
        after.splice(end..end, files::png_chunk(kind, &contents));
        check("image", &after, "ok 8x8", 16);
    }
    check("image", &files::apng(8, 8, 3, 3, &[(*b"iCCP", &[&b"icc\0\0"[..], &bomb].concat())]), "ok 8x8", 16);
}

#[test]
fn pixels_beyond_the_picture_are_not_unpacked() {
    let bomb = files::zeros(4096);
    check("image", &files::png(8, 8, &[], &bomb), "", 16);
    // Of a picture that its header makes large, there is only the first row.
    check("image", &files::png(8000, 8000, &[], &files::idat(8000, 1)), "bad-image", 300);
    check("clip", &files::apng_with(8, 8, 2, &bomb), "", 16);
}

#[test]
fn sizes_of_a_png_are_checked_first() {
    check("image", &files::png(50_000, 50_000, &[], &files::zeros(64)), "image-too-large", 8);
    check("clip", &files::apng(50_000, 50_000, 2, 2, &[]), "", 8);
    for kind in [*b"iCCP", *b"zTXt", *b"IDAT", *b"eXIf"] {
        let mut chunk = files::png_chunk(kind, b"short");
        chunk[..4].copy_from_slice(&0x7fff_fff0u32.to_be_bytes());
        let mut lying = files::good_png();
        lying.splice(33..33, chunk);
        check("image", &lying, "bad-image", 8);
    }
}

#[test]
fn sizes_of_a_webp_must_agree() {
    let small = files::vp8l_chunk(8, 8);
    check("image", &files::webp_extended(16_384, 16_384, 0, &small), "bad-image", 8);
    check("image", &files::webp_extended(1 << 24, 1 << 24, 0, &small), "", 8);
    check("image", &files::webp_extended(8_000, 8_000, 0, &small), "bad-image", 8);

    let huge = files::vp8_chunk(16_383, 16_383, 3 << 20);
    let within = files::webp_extended(8, 8, 0, &huge);
    let measured = measure("unguarded", &within);
    assert!(measured.resident > 200 * MIB, "a bomb that does not go off: {measured:?}");
    check("image", &within, "bad-image", 8);
    check("image", &files::webp(&huge), "image-too-large", 8);
    check("image", &files::webp_extended(8, 8, 0, &files::vp8l_chunk(16_384, 16_384)), "bad-image", 8);
    check("image", &files::webp(&files::vp8l_chunk(16_384, 16_384)), "", 8);
    check("image", &files::webp(&files::vp8l_chunk(16_383, 16_383)), "image-too-large", 8);
}

#[test]
fn lengths_of_a_webp_are_checked_first() {
    let picture = files::good_webp_chunk();
    for (kind, flag) in [(b"EXIF", 0b1000), (b"XMP ", 0b100), (b"ICCP", 0b10_0000)] {
        let lying = [&kind[..], &0xffff_fff0u32.to_le_bytes(), b"MM\0\x2a"].concat();
        let file = files::webp_extended(8, 8, flag, &[picture.clone(), lying].concat());
        let measured = measure("image", &file);
        assert!(measured.outcome.starts_with("bad-image"), "{measured:?}");
        assert!(measured.addresses < 64 * MIB, "{measured:?}");
        if kind == b"EXIF" {
            let measured = measure("unguarded", &file);
            assert!(measured.addresses > 3000 * MIB, "a bomb that does not go off: {measured:?}");
        }
    }
    for length in [0, 20, u32::MAX] {
        let mut file = files::webp(&picture);
        file[4..8].copy_from_slice(&length.to_le_bytes());
        check("image", &file, "ok 8x8", 8);
        check("clip", &file, "ok 8x8", 8);
    }
}

#[test]
fn animated_webps_are_bounded() {
    let frame = |size: (u32, u32), chunks: &[u8]| files::anmf(size, chunks);
    let good = frame((8, 8), &files::good_webp_chunk());
    check("clip", &files::webp_animated(8, 8, &[good.clone(), good.clone()].concat()), "ok 8x8", 8);
    check("clip", &files::webp_animated(1 << 24, 1 << 24, &good), "bad-image", 8);
    check("clip", &files::webp_animated(16_384, 16_384, &good), "too-large", 8);
    // The second frame is larger than it says, or than the picture.
    let huge = files::vp8_chunk(16_383, 16_383, 3 << 20);
    for frames in [frame((8, 8), &huge), [good.clone(), frame((8, 8), &huge)].concat()] {
        check("clip", &files::webp_animated(8, 8, &frames), "bad-image", 8);
        check("image", &files::webp_animated(8, 8, &frames), "bad-image", 8);
    }
    check(
        "clip",
        &files::webp_animated(8, 8, &[good, frame((16_000, 16_000), &huge)].concat()),
        "bad-image",
        8,
    );
    // More frames than anybody can draw.
    let endless = frame((1, 1), &files::vp8l_chunk(1, 1)).repeat(200_000);
    check("clip", &files::webp_animated(8_000, 8_000, &endless), "too-large", 64);
}

#[test]
fn gifs_are_bounded() {
    check("clip", &files::gif((8, 8), (1, 1), 2), "ok 8x8", 8);
    check("image", &files::gif((65_535, 65_535), (1, 1), 1), "image-too-large", 8);
    check("clip", &files::gif((65_535, 65_535), (1, 1), 2), "too-large", 8);
    // A frame that is larger than the picture.
    check("image", &files::gif((8, 8), (65_535, 65_535), 1), "", 8);
    check("clip", &files::gif((8, 8), (65_535, 65_535), 2), "", 8);
    // More frames than anybody can draw; and many, but small ones, which is no crime.
    check("clip", &files::gif((8_000, 8_000), (1, 1), 200_000), "too-large", 32);
    check("clip", &files::gif((1, 1), (1, 1), 1_000_000), "ok 1x1 x8", 64);
}

#[test]
fn animated_pngs_are_bounded() {
    check("clip", &files::apng(8, 8, 3, 3, &[]), "ok 8x8", 8);
    // Says that it has more frames than it has.
    check("clip", &files::apng(8, 8, u32::MAX >> 1, 3, &[]), "bad-image", 8);
    check("clip", &files::apng(8_000, 8_000, 100_000, 100_000, &[]), "too-large", 64);
}
