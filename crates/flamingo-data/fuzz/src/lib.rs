//! What must hold whatever a file holds. Each function is a fuzz target, and is replayed over its corpus by
//! `tests/fuzz_corpus.rs`.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use flamingo_data::image::{ImageLimits, decode_within};
use flamingo_data::interleave::{Page, Piece};
use flamingo_data::source::documents::DocumentRecord;
use flamingo_data::source::mmc4;
use flamingo_data::store::ByteStream;
use flamingo_data::video::{FrameSampling, frames_from_bytes};
use flamingo_data::webdataset::{Limits, ShardRecords};
use flamingo_data::{Content, Location, Record, Reject};

/// More than this of a decompressed archive only takes time.
const MOST: u64 = 32 << 20;
const LIMITS: Limits = Limits { field: 1 << 16, record: 1 << 18, fields: 16 };

/// Grouping a tar archive, compressed or not, ends without a panic; records keep to the limits and have safe keys;
/// skipping counts what reading counts.
pub fn tar_grouping(bytes: &[u8]) {
    let records = || -> Option<ShardRecords> {
        let unpacked = ByteStream::new(Cursor::new(bytes.to_vec())).unpacked().ok()?;
        Some(ShardRecords::new(Location::from("fuzz.tar"), ByteStream::new(unpacked.take(MOST)), LIMITS))
    };
    let Some(all) = records().map(Iterator::collect::<Vec<_>>) else { return };
    for record in all.iter().flatten() {
        assert!(record.len() as u64 <= LIMITS.record && record.fields.len() <= LIMITS.fields);
        assert!(record.fields.values().all(|field| field.len() as u64 <= LIMITS.field));
        assert!(!record.key.starts_with('/') && record.key.split(['/', '\\']).all(|part| part != ".."));
    }
    let names = |items: &[Result<Record, Reject>]| -> Vec<String> {
        let name = |item: &Result<Record, Reject>| match item {
            Ok(record) => record.key.clone(),
            Err(reject) => reject.record.clone(),
        };
        items.iter().map(name).collect()
    };
    let skip = all.len() / 2;
    let rest = records().map(|records| records.skip(skip).collect::<Vec<_>>()).unwrap_or_default();
    assert_eq!(names(&rest), names(&all[skip..]));
}

/// A description of a document is refused, or is written as it was read; a page of MMC4 is refused, or shows each of
/// its images and no other.
pub fn json_members(bytes: &[u8]) {
    if let Ok(document) = DocumentRecord::parse(bytes) {
        let written = document.to_json();
        let again = DocumentRecord::parse(&written).map(|document| document.to_json());
        assert_eq!(again, Ok(written));
    }
    let fields = BTreeMap::from([("json".to_owned(), bytes.to_vec())]);
    let record = Record { key: "fuzz".to_owned(), shard: Location::from("fuzz.tar"), fields };
    // Small images too, so that what happens behind the limits is seen.
    let options = mmc4::Options { min_image_bytes: 0, ..mmc4::Options::default() };
    if let Ok(sample) = mmc4::sample(record, &options) {
        let Content::Page(page) = &sample.content else { panic!("a page, not {:?}", sample.content) };
        assert!(page.images().eq(0..sample.media.len()), "{:?}", page.chunks);
    }
}

/// A page is refused, or gives a text between each two of its kept images at most, none of them empty.
pub fn html(bytes: &[u8]) {
    let Ok(page) = Page::read(bytes) else { return };
    let pieces: Vec<Piece<'_>> = page.pieces(|image| image % 2 == 0).collect();
    assert!(pieces.len() <= 2 * page.images.len() + 1);
    assert!(pieces.iter().all(|piece| !matches!(piece, Piece::Text(text) if text.trim().is_empty())));
}

/// A picture is refused, or keeps to the limits; an animation too, and has no more frames than were asked for.
pub fn pictures(bytes: &[u8]) {
    let limits = ImageLimits { pixels: 1 << 16, side: 1 << 12, bytes: 1 << 24 };
    if let Ok(picture) = decode_within(bytes, "fuzz", &limits) {
        let (width, height) = picture.dimensions();
        assert!(u64::from(width) * u64::from(height) <= limits.pixels && width.max(height) <= limits.side);
    }
    // Anything else would go to ffmpeg.
    let magic: [&[u8]; 3] = [b"GIF8", b"RIFF", b"\x89PNG\r\n\x1a\n"];
    let is_webp = !bytes.starts_with(b"RIFF") || bytes.get(8..12) == Some(b"WEBP");
    if is_webp && magic.iter().any(|magic| bytes.starts_with(magic)) {
        let sampling = FrameSampling::training();
        if let Ok(frames) = frames_from_bytes(bytes, "fuzz", &sampling) {
            assert!((1..=sampling.max_frames).contains(&frames.len()));
            assert!(frames.iter().all(|frame| frame.dimensions() == frames[0].dimensions()));
        }
    }
}
