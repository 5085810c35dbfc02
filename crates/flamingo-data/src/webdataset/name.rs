//! A member's name: the record it belongs to, its field, and whether it is safe.

/// A name taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The path up to the first dot of the base name.
    pub key: String,
    /// What follows that dot, in lower case.
    pub field: String,
    /// Whether the name is Unicode; the bytes that are not are written `\xNN`.
    pub is_text: bool,
}

impl Name {
    /// `a/b.seg.PNG` is the field `seg.png` of `a/b`; `None` for names that belong to no record.
    pub fn split(path: &[u8]) -> Option<Self> {
        let mut path = path;
        while let Some(rest) = path.strip_prefix(b"./") {
            path = rest;
        }
        let base = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let dot = base + path[base..].iter().position(|byte| *byte == b'.')?;
        if dot == base || is_metadata(path) {
            return None;
        }
        let (key, key_is_text) = text(&path[..dot]);
        let (field, field_is_text) = text(&path[dot + 1..]);
        Some(Self { key, field: field.to_lowercase(), is_text: key_is_text && field_is_text })
    }

    /// Whether the key is a path that stays in its folder on every system: it is not absolute, and has neither `..`
    /// nor a drive nor a zero byte in it.
    pub fn is_safe(&self) -> bool {
        let key = self.key.as_str();
        let rooted = key.starts_with(['/', '\\']) || key.as_bytes().get(1) == Some(&b':');
        let climbs = key.split(['/', '\\']).any(|part| part == "..");
        !rooted && !climbs && !key.contains('\0') && !self.field.contains(['\0', '\\'])
    }
}

/// Whether the path begins with a part like `__meta__`, where `webdataset` keeps what is no record.
fn is_metadata(path: &[u8]) -> bool {
    let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    first.len() >= 4 && first.starts_with(b"__") && first.ends_with(b"__")
}

/// The bytes as text, and whether they are.
fn text(bytes: &[u8]) -> (String, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), true),
        Err(_) => (bytes.escape_ascii().to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_first_dot_of_the_base_name() {
        for (path, expected) in [
            ("a.png", Some(("a", "png"))),
            ("./././a/b.c/d.seg.PNG", Some(("a/b.c/d", "seg.png"))),
            ("a/.hidden", None),
            ("._a.png", None),
            ("README", None),
            ("__meta__/a.png", None),
            ("__a.png", Some(("__a", "png"))),
            ("__info__.json", Some(("__info__", "json"))),
            ("a.", Some(("a", ""))),
            ("", None),
            ("/", None),
        ] {
            let split = Name::split(path.as_bytes());
            let split = split.as_ref().map(|name| (name.key.as_str(), name.field.as_str()));
            assert_eq!(split, expected, "{path}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_unsafe() {
        let is_safe = |path: &str| Name::split(path.as_bytes()).unwrap().is_safe();
        for path in
            ["/etc/a.png", "../a.png", "a/../../b.png", "X:\\a.png", "a\\..\\b.png", "\\a.png", "a\0.png"]
        {
            assert!(!is_safe(path), "{path}");
        }
        for path in ["a/b.png", "a..b/c.png", "...a/b.png", "a b/ü.png"] {
            assert!(is_safe(path), "{path}");
        }
        assert!(!Name::split(b"a\xff.png").unwrap().is_text);
        assert_eq!(Name::split(b"a\xff.png").unwrap().key, "a\\xff");
    }
}
