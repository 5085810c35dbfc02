//! The text of a page, whatever its encoding.
//!
//! In the order of the HTML standard: a byte order mark, then what the page declares in its first kilobyte, then what
//! its bytes look like.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

/// Where a declaration is looked for, in bytes, as in the standard.
const DECLARATION: usize = 1024;

/// Bytes that are enough to guess from.
const SAMPLE: usize = 64 << 10;

/// A page's text. Bytes that the encoding does not have become U+FFFD.
///
/// # Errors
///
/// In words, if the bytes are no text in any encoding: many of them are NUL.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, String> {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => without_mark(bytes)?,
    };
    Ok(encoding.decode(bytes).0.into_owned())
}

fn without_mark(bytes: &[u8]) -> Result<&'static Encoding, String> {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let zeros = sample.iter().filter(|&&byte| byte == 0).count();
    if zeros * 100 > sample.len() {
        return Err(format!("{zeros} of the first {} bytes are NUL: this is no text", sample.len()));
    }
    // A page that is valid UTF-8 is UTF-8, whatever an outdated declaration says.
    if std::str::from_utf8(bytes).is_ok() {
        return Ok(UTF_8);
    }
    Ok(declared(&bytes[..bytes.len().min(DECLARATION)]).unwrap_or_else(|| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
        detector.feed(sample, sample.len() == bytes.len());
        detector.guess(None, Utf8Detection::Allow)
    }))
}

/// The encoding in `<meta charset=…>`, `<meta … content="text/html; charset=…">` or `<?xml encoding=…?>`.
fn declared(head: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let labels = ["charset", "encoding"].into_iter().flat_map(|key| {
        head.match_indices(key).filter_map(|(at, _)| {
            let value = head[at + key.len()..].trim_start().strip_prefix('=')?.trim_start();
            let value = value.trim_start_matches(['"', '\'']);
            value.split(|c: char| c.is_whitespace() || "\"';>?/".contains(c)).next()
        })
    });
    // The declaration was read byte by byte, so the page is not in UTF-16, whatever it says.
    let found = labels.into_iter().find_map(|label| Encoding::for_label(label.as_bytes()))?;
    Some(if found.is_ascii_compatible() { found } else { UTF_8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_marked_and_guessed() {
        let declared = b"<meta http-equiv=x content='text/html; charset=koi8-r'>\xf0\xf2\xe9\xf7\xe5\xf4";
        assert!(decode(declared).unwrap().ends_with("ПРИВЕТ"));
        assert_eq!(decode(b"\xff\xfeh\0i\0").unwrap(), "hi");
        assert_eq!(decode(b"\xef\xbb\xbfhi").unwrap(), "hi");
        assert_eq!(decode("<meta charset=latin1>größe".as_bytes()).unwrap(), "<meta charset=latin1>größe");
        assert!(decode(b"Die Gr\xf6\xdfe der H\xe4user \xfcber den Stra\xdfen").unwrap().contains("Größe"));
        assert!(decode(b"<meta charset=utf-16>\x80abc").unwrap().contains("abc"));
        assert!(decode(&[0; 64]).unwrap_err().contains("NUL"));
    }
}
