//! Headers that lie.

use super::*;

/// A header with one f32 tensor `[2, 3]`; what each field says can be changed.
struct Header {
    version: u32,
    n_tensors: u64,
    n_keys: u64,
    keys: Vec<u8>,
    name_len: u64,
    dims: Vec<u64>,
    kind: u32,
    offset: u64,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            version: 3,
            n_tensors: 1,
            n_keys: 0,
            keys: vec![],
            name_len: 1,
            dims: vec![3, 2],
            kind: 0,
            offset: 0,
        }
    }
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.n_tensors.to_le_bytes());
        bytes.extend(self.n_keys.to_le_bytes());
        bytes.extend(&self.keys);
        bytes.extend(self.name_len.to_le_bytes());
        bytes.push(b'w');
        bytes.extend((self.dims.len() as u32).to_le_bytes());
        bytes.extend(self.dims.iter().flat_map(|side| side.to_le_bytes()));
        bytes.extend(self.kind.to_le_bytes());
        bytes.extend(self.offset.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend((0..6u8).flat_map(|i| f32::from(i).to_le_bytes()));
        bytes
    }

    fn open(&self) -> Result<Contents, WeightsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        std::fs::write(&path, self.bytes()).unwrap();
        open(SourceFile::open(&path).unwrap())
    }

    #[track_caller]
    fn fails(&self, message: &str) {
        let error = self.open().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("model.gguf") && error.contains(message), "{error}");
    }
}

fn key(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&(name.len() as u64).to_le_bytes()[..], name.as_bytes(), &kind.to_le_bytes(), value].concat()
}

#[test]
fn sides_are_turned_round() {
    for version in [2, 3] {
        let contents = Header { version, ..Header::default() }.open().unwrap();
        assert_eq!(contents.entries["w"].info.shape, [2, 3]);
        assert_eq!(contents.entries["w"].info.n_bytes, 24);
    }
}

#[test]
fn lies_about_sizes_are_errors_before_any_memory_is_taken() {
    let whole = Header::default;
    Header { n_tensors: u64::MAX, ..whole() }.fails("only");
    Header { n_keys: u64::MAX, ..whole() }.fails("only");
    Header { name_len: u64::MAX, ..whole() }.fails("18446744073709551615 bytes are announced");
    Header { dims: vec![3, 3], ..whole() }.fails("tensor \"w\" claims 36 bytes at 0 of the data");
    Header { dims: vec![1 << 40, 1 << 40], ..whole() }.fails("cannot be stored as F32");
    Header { dims: vec![1 << 60], ..whole() }.fails("claims 4611686018427387904 bytes");
    Header { dims: vec![1; 9], ..whole() }.fails("9 dimensions");
    Header { offset: u64::MAX, ..whole() }.fails("the file ends before");
    Header { kind: 8, dims: vec![31], ..whole() }.fails("shape [31] cannot be stored as Q8_0");
    Header { version: 1, ..whole() }.fails("version 1 is not known");
    Header { version: 3u32.swap_bytes(), ..whole() }.fails("big-endian");

    let list = |kind: u32, len: u64| key("l", LIST, &[&kind.to_le_bytes()[..], &len.to_le_bytes()].concat());
    Header { n_keys: 1, keys: list(0, u64::MAX), ..whole() }
        .fails("key \"l\": a list claims 18446744073709551615 values");
    Header { n_keys: 1, keys: list(4, 1 << 20), ..whole() }.fails("only");
    let nested =
        [list(LIST, 1), [LIST.to_le_bytes().to_vec(), 1u64.to_le_bytes().to_vec()].concat().repeat(9)]
            .concat();
    Header { n_keys: 1, keys: nested, ..whole() }.fails("lists in lists");
    let alignment =
        |value: u32| Header { n_keys: 1, keys: key("general.alignment", 4, &value.to_le_bytes()), ..whole() };
    alignment(3).fails("general.alignment is no power of two");
    alignment(0).fails("general.alignment is no power of two");
    alignment(1 << 31).fails("the file ends before");
}

const LIST: u32 = 9;

#[test]
fn unknown_formats_are_listed_but_not_read() {
    let contents = Header { kind: 10, ..Header::default() }.open().unwrap();
    assert_eq!(contents.entries["w"].info.encoding.to_string(), "Q2_K");
}
