//! What comes out of aligned lists, good and bad.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::source::testing::{outcomes, spec};

const URL: &str = "https://example.org/cow.jpg?width=640";

#[test]
fn places_are_images_or_texts() {
    let folder = tempfile::tempdir().unwrap();
    let hash: String = Sha256::digest(URL).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(folder.path().join(format!("{hash}.png")), "22").unwrap();
    std::fs::write(folder.path().join("pig.jpg"), "333").unwrap();
    let rows = [
        json!({"images": [null, URL, null, "pig.jpg", null], "texts": ["A farm.\n\n", null, "More.", null, null]}),
        json!({"images": [null, "https://example.org/gone.jpg", URL], "texts": ["Gone.", null, null]}),
        json!({"images": ["https://example.org/gone.jpg"], "texts": [null]}),
        json!({"images": [null], "texts": ["No image."]}),
        json!({"images": [URL, null], "texts": [null]}),
        json!({"images": [URL], "texts": ["both"]}),
        json!({"images": [7], "texts": [null]}),
        json!({"images": URL, "texts": []}),
        json!({"texts": []}),
        json!({"images": ["../pig.jpg"], "texts": [null]}),
    ];
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let path = folder.path().join("t.jsonl");
    std::fs::write(&path, lines).unwrap();
    let kept = outcomes(&spec("obelics", &path, json!({"folder": folder.path()})));
    let expected = [
        "0: A farm.\n\n[2]More.[3]",
        "1: Gone.[2] (missing)",
        "2: missing",
        "3: filtered",
        "4: bad-description",
        "5: bad-description",
        "6: bad-description",
        "7: bad-description",
        "8: missing",
        "9: unsafe-name",
    ];
    assert_eq!(kept, expected);
    let without = outcomes(&spec("obelics", &path, json!({"min_images": 0})));
    assert_eq!(without[..2], ["0: A farm.\n\nMore. (missing) (missing)", "1: Gone. (missing) (missing)"]);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_is_read_row_group_by_row_group() {
    use crate::source::rows::fixture::{Column, write};

    // As OBELICS is published, and the images beside it.
    let schema = "message schema {
        optional group images (LIST) { repeated group list { optional binary element (UTF8); } }
        optional binary metadata (UTF8);
        optional binary general_metadata (UTF8);
        optional group texts (LIST) { repeated group list { optional binary element (UTF8); } }
        optional group images_bytes (LIST) { repeated group list { optional binary element; } }
    }";
    type List<'a> = Option<&'a [Option<&'a [u8]>]>;
    let group = |images: &[List<'_>], texts: &[List<'_>], bytes: &[List<'_>]| {
        let metadata = vec![Some(&b"[]"[..]); images.len()];
        vec![
            Column::lists(images),
            Column::flat(1, &metadata),
            Column::flat(1, &metadata),
            Column::lists(texts),
            Column::lists(bytes),
        ]
    };
    let url = Some(URL.as_bytes());
    let groups = [
        group(
            &[Some(&[None, url, None]), Some(&[url]), None],
            &[Some(&[Some(b"A farm."), None, Some(b"More.")]), Some(&[None]), Some(&[Some(b"No list.")])],
            &[Some(&[None, Some(b"22"), None]), None, None],
        ),
        group(&[Some(&[])], &[Some(&[])], &[None]),
        group(&[Some(&[url, url])], &[Some(&[None, None])], &[Some(&[Some(b"1"), None])]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write(&path, schema, &groups);
    let expected = ["0: A farm.[2]More.", "1: missing", "2: missing", "3: filtered", "4: [1] (missing)"];
    assert_eq!(outcomes(&spec("obelics", &path, json!({}))), expected);

    // A broken page costs the rows behind it, and nothing hangs or falls over.
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[4..40] {
        *byte ^= 0x55;
    }
    std::fs::write(&path, bytes).unwrap();
    let broken = outcomes(&spec("obelics", &path, json!({})));
    assert!(broken.last().unwrap().ends_with("corrupt-shard"), "{broken:?}");
}
