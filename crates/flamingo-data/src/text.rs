//! Bytes to text, whatever the encoding.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

/// Bytes as text, without a byte order mark.
///
/// The encoding is the one of a byte order mark; else UTF-8 if the bytes are valid UTF-8, which no other text is by
/// chance; else the `declared` one (a label of the Encoding Standard, such as `windows-1252` or `shift_jis`, in any
/// case); else the one that the bytes look most like. An unknown label counts as none.
///
/// Nothing is replaced: text with a wrong letter looks like text, and would be learnt.
///
/// ```
/// use flamingo_data::text::decode;
///
/// assert_eq!(decode(b"caf\xe9", Some("latin1"))?, "café");
/// assert_eq!(decode("café".as_bytes(), Some("latin1"))?, "café");
/// assert_eq!(decode(b"\xff\xfec\0o\0w\0", None)?, "cow");
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
///
/// If the bytes are no text in that encoding, or have control characters that no text has; in words.
pub fn decode(bytes: &[u8], declared: Option<&str>) -> Result<String, String> {
    match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => decode_as(encoding, &bytes[mark..]),
        None => decode_as(likeliest(bytes, declared), bytes),
    }
}

/// The encoding of bytes without a byte order mark, as [`decode`] chooses it.
pub(crate) fn likeliest(bytes: &[u8], declared: Option<&str>) -> &'static Encoding {
    if std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    declared.and_then(|label| Encoding::for_label(label.trim().as_bytes())).unwrap_or_else(|| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
        detector.feed(bytes, true);
        detector.guess(None, Utf8Detection::Deny)
    })
}

/// As [`decode`], with the encoding known.
pub(crate) fn decode_as(encoding: &'static Encoding, bytes: &[u8]) -> Result<String, String> {
    let text = encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| format!("the bytes are no text in {}, their most likely encoding", encoding.name()))?;
    match text.chars().find(|letter| is_binary(*letter)) {
        Some(letter) => {
            Err(format!("the bytes are no text: {letter:?} is in them (read as {})", encoding.name()))
        }
        None => Ok(text.into_owned()),
    }
}

/// Whether a control character shows that bytes are no text: all but tab, line feed, form feed, carriage return and
/// escape of the C0 range.
fn is_binary(letter: char) -> bool {
    letter < ' ' && !['\t', '\n', '\x0c', '\r', '\x1b'].contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        let russian = "Коровы пасутся на лугу за старой деревней.";
        let japanese = "牛は村の裏の草原で草を食べています。";
        for (label, text) in [
            ("windows-1251", russian),
            ("koi8-r", russian),
            ("shift_jis", japanese),
            ("euc-jp", japanese),
            ("windows-1252", "Les vaches paissent derrière le vieux château; l’été est là."),
        ] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, ..) = encoding.encode(text);
            assert_eq!(decode(&bytes, None).as_deref(), Ok(text), "{label}, guessed");
            assert_eq!(decode(&bytes, Some(label)).as_deref(), Ok(text), "{label}, declared");
        }
        assert_eq!(decode("\u{feff}Kühe".as_bytes(), Some("koi8-r")).as_deref(), Ok("Kühe"));
        assert_eq!(decode(b"\xfe\xff\0c\0o\0w", Some("utf-8")).as_deref(), Ok("cow"));
        assert_eq!(decode(b"", None).as_deref(), Ok(""));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for (bytes, declared) in [
            (&b"\x89PNG\r\n\x1a\n\0\0"[..], None),
            (b"a\0b", None),
            (b"\xff\xfe\0\xd8", None),
            (b"\x81\xff", Some("shift_jis")),
        ] {
            let error = decode(bytes, declared).unwrap_err();
            assert!(error.contains("no text"), "{error}");
        }
    }
}
