//! Extended headers of the POSIX archive format (pax), as far as they matter here.

/// What an extended header says of the member behind it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub path: Option<Vec<u8>>,
    pub size: Option<u64>,
    /// Whether the member holds only parts of a file (`GNU.sparse.…`).
    pub sparse: bool,
}

impl Attributes {
    /// Reads `LENGTH KEY=VALUE\n` until the end; lengths count the whole line. Values may hold newlines, so only
    /// lengths divide them. `None` if it is anything else.
    pub fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut attributes = Self::default();
        while !bytes.is_empty() {
            let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
            let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
            if length <= space + 1 || length > bytes.len() {
                return None;
            }
            let (line, rest) = bytes.split_at(length);
            let pair = line[space + 1..].strip_suffix(b"\n")?;
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (&pair[..equals], &pair[equals + 1..]);
            match key {
                b"path" => attributes.path = Some(value.to_vec()),
                b"size" => attributes.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                key if key.starts_with(b"GNU.sparse.") => attributes.sparse = true,
                _ => {}
            }
            bytes = rest;
        }
        Some(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_divided_by_their_lengths() {
        let parsed = Attributes::parse(b"16 comment=a\nb=\n12 path=a/b\n9 size=7\n22 GNU.sparse.major=1\n");
        let expected = Attributes { path: Some(b"a/b".to_vec()), size: Some(7), sparse: true };
        assert_eq!(parsed, Some(expected));
        assert_eq!(Attributes::parse(b""), Some(Attributes::default()));
    }

    #[test]
    fn broken_lines_are_refused() {
        for bytes in [
            &b"12 path=a/b"[..],
            b"13 path=a/b\n",
            b"11 path=a/b\n",
            b"0 path=a/b\n",
            b"3 \n",
            b"x path=a/b\n",
            b"99999999999999999999 a=b\n",
            b"12 size=abc\n",
            b"8 nopair\n",
        ] {
            assert_eq!(Attributes::parse(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
