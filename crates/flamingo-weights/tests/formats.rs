//! Files that PyTorch and gguf-py wrote, bit for bit, and files that somebody damaged.
//!
//! `tests/parity/weights.py` writes the fixtures: each beside the tensors that the same program reads from it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use flamingo_testkit::Origin;
use flamingo_weights::{
    Checkpoint, Encoding, Format, KeyMap, TensorPlan, WeightsError, load_into, save_safetensors,
};
use proptest::prelude::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/weights").join(name)
}

/// What other programs read from the same files; `cargo xtask parity --check` runs these.
mod parity {
    use super::*;

    /// Every tensor has the expected name, shape, format and bytes. `kind` says what the file is.
    #[track_caller]
    fn assert_same(kind: &str, actual: &Checkpoint, expected: &str) {
        let name = format!("{expected}.expected");
        let expected = Checkpoint::open(fixture(&format!("{name}.safetensors"))).unwrap();
        let said = |key: &str| Some(expected.metadata().get(key)?.as_str()?.to_owned());
        let origin = Origin::new(&format!("weights/{name}"), said);
        let names: Vec<&str> = expected.names().collect();
        assert_eq!(actual.names().collect::<Vec<_>>(), names);
        for name in names {
            let (ours, theirs) = (actual.read(name).unwrap(), expected.read(name).unwrap());
            assert_eq!(ours.dtype(), theirs.dtype(), "{name}");
            assert_eq!(ours.shape(), theirs.shape(), "{name}");
            let size = ours.dtype().size();
            let values =
                |data: &TensorData| data.as_bytes().chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>();
            origin.assert_equal(kind, &values(&ours), &values(&theirs));
        }
    }

    #[test]
    fn torch_files_of_both_formats_are_torchs() {
        for seed in 0..2 {
            let zip = Checkpoint::open(fixture(&format!("zip-{seed}.pt"))).unwrap();
            let legacy = Checkpoint::open(fixture(&format!("legacy-{seed}.pth"))).unwrap();
            assert_eq!((zip.format(), legacy.format()), (Format::PyTorch, Format::LegacyPyTorch));
            assert_same("zip", &zip, &format!("torch-{seed}"));
            assert_same("legacy", &legacy, &format!("torch-{seed}"));
        }
    }

    #[test]
    fn the_weights_are_taken_out_of_a_training_checkpoint() {
        for seed in 0..2 {
            let whole = Checkpoint::open(fixture(&format!("container-{seed}.pt"))).unwrap();
            assert!(whole.names().all(|name| name.starts_with("module.net._checkpoint_wrapped_module.")));
            assert_eq!(whole.metadata()["epoch"].as_usize(), Some(3));
            assert_eq!(whole.metadata()["lr"].as_f64(), Some(1e-4));
            assert_same("training checkpoint", &whole.unwrapped().unwrap(), &format!("container-{seed}"));
        }
    }

    #[test]
    fn newer_pickles_and_nested_ones_are_read() {
        assert_same("newer pickle", &Checkpoint::open(fixture("protocol-4.pt")).unwrap(), "protocol-4");
        assert_same("nested", &Checkpoint::open(fixture("nested.pt")).unwrap(), "nested");
    }

    #[test]
    fn shards_are_put_together_by_folder_and_by_index() {
        for path in ["sharded", "sharded/pytorch_model.bin.index.json"] {
            assert_same("shards", &Checkpoint::open(fixture(path)).unwrap(), "sharded");
        }
    }

    #[test]
    fn quantised_blocks_are_gguf_pys() {
        for seed in 0..2 {
            let gguf = Checkpoint::open(fixture(&format!("quantised-{seed}.gguf"))).unwrap();
            assert_eq!(gguf.format(), Format::Gguf);
            assert_same("quantised blocks", &gguf, &format!("quantised-{seed}"));
            let info = gguf.info("Q6_K").unwrap();
            assert_eq!((info.encoding.to_string().as_str(), info.dtype()), ("Q6_K", Some(DType::F32)));
            assert_eq!(gguf.info("BF16").unwrap().encoding, Encoding::Plain(DType::BF16));
        }
    }
}

#[test]
fn a_tensor_of_a_terabyte_in_four_bytes_is_refused() {
    let error = Checkpoint::open(fixture("repeated.pt")).unwrap_err().to_string();
    assert!(error.contains("\"mask\" of shape [1099511627776] repeats its storage of 1 elements"), "{error}");
}

#[test]
fn the_index_comes_before_the_shards_and_says_which_of_two_tensors_counts() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, names: &[&str], value: f32| {
        let plan = |name: &&str| TensorPlan { name: (*name).to_owned(), shape: vec![1], dtype: DType::F32 };
        let plans: Vec<TensorPlan> = names.iter().map(plan).collect();
        let path = folder.path().join(file);
        save_safetensors(&path, &plans, &BTreeMap::new(), |_| Ok(TensorData::from([value]))).unwrap();
    };
    write("1.safetensors", &["a", "both"], 1.0);
    write("2.safetensors", &["b", "both"], 2.0);
    let index = |text: &str| fs::write(folder.path().join("model.safetensors.index.json"), text).unwrap();
    index(r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "both": "2.safetensors"}}"#);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b", "both"]);
    assert_eq!(checkpoint.read("both").unwrap(), TensorData::from([2.0f32]));

    index(r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#);
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("two tensors are named \"both\""), "{error}");
    index(r#"{"weight_map": {"a": "2.safetensors", "both": "2.safetensors"}}"#);
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("says that \"a\" is in 2.safetensors, where it is not"), "{error}");
}

#[test]
fn gguf_metadata_keep_their_kinds() {
    let gguf = Checkpoint::open(fixture("quantised-0.gguf")).unwrap();
    let value = |key: &str| &gguf.metadata()[key];
    assert_eq!(value("general.architecture").as_str(), Some("llama"));
    assert_eq!(value("llama.block_count").as_usize(), Some(2));
    assert_eq!(value("llama.attention.layer_norm_rms_epsilon").to_string(), "0.00001");
    assert_eq!(value("tokenizer.ggml.add_bos_token").as_bool(), Some(true));
    let tokens = value("tokenizer.ggml.tokens").as_list().unwrap();
    assert_eq!(tokens[2].as_str(), Some("é"));
    assert_eq!(value("tokenizer.ggml.scores").as_list().unwrap()[1].as_f64(), Some(-1.0));
}

#[test]
fn a_pickle_is_never_executed() {
    for name in ["attack.pt", "attack.pth"] {
        let error = Checkpoint::open(fixture(name)).unwrap_err();
        let WeightsError::ForbiddenGlobal { global, .. } = &error else { panic!("{error}") };
        assert_eq!(global, "posix.system");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("nothing was executed"), "{text}");
        assert!(!Path::new("executed-by-a-pickle").exists());
    }
}

#[derive(Module, Debug)]
struct Kinds {
    float: Param<Tensor<1>>,
    int: Param<Tensor<1, Int>>,
    bool: Param<Tensor<1, Bool>>,
}

#[test]
fn parameters_of_every_kind_are_loaded_and_no_other_kind_is_taken() {
    let device = Device::flex();
    let kinds = || Kinds {
        float: Param::from_tensor(Tensor::zeros([5], &device)),
        int: Param::initialized(ParamId::new(), Tensor::zeros([3], &device)),
        bool: Param::initialized(ParamId::new(), Tensor::<1>::zeros([3], &device).bool()),
    };
    let checkpoint = Checkpoint::open(fixture("zip-0.pt")).unwrap();
    let values = |name: &str| checkpoint.read(name).unwrap().iter::<f32>().collect::<Vec<_>>();
    for (float, int) in [("bfloat16", "int64"), ("float16", "uint8"), ("float64", "int16")] {
        let map = KeyMap::new().copy("float", float).copy("int", int).copy("bool", "bool").ignore("**");
        let (loaded, report) = load_into(kinds(), &checkpoint, &map).unwrap();
        assert_eq!(loaded.float.val().into_data().iter::<f32>().collect::<Vec<_>>(), values(float));
        assert_eq!(loaded.float.val().dtype(), DType::F32);
        assert_eq!(loaded.int.val().into_data().iter::<f32>().collect::<Vec<_>>(), values(int));
        assert_eq!(loaded.bool.val().into_data().iter::<f32>().collect::<Vec<_>>(), values("bool"));
        assert_eq!((report.loaded.len(), report.ignored.len()), (3, checkpoint.names().count() - 3));
    }
    let map = KeyMap::new().copy("float", "middle").copy("int", "float16").copy("bool", "int8").ignore("**");
    let error = load_into(kinds(), &checkpoint, &map).unwrap_err().to_string();
    assert!(
        error.contains("tensor \"middle\" is of shape [6], but parameter \"float\" needs shape [5]"),
        "{error}"
    );
    assert!(
        error.contains("tensor \"float16\" is of shape [5], but parameter \"int\" needs shape [3]"),
        "{error}"
    );
    assert!(
        error.contains("tensor \"int8\" is stored as I8, but parameter \"bool\" needs booleans"),
        "{error}"
    );
}

/// All whole single files.
const FILES: [&str; 5] =
    ["zip-0.pt", "legacy-0.pth", "container-0.pt", "quantised-0.gguf", "torch-0.expected.safetensors"];

/// Opens `bytes` as a file and reads every tensor of it.
fn read_all(folder: &Path, bytes: &[u8]) -> Result<(), WeightsError> {
    let path = folder.join("file");
    fs::write(&path, bytes).unwrap();
    let checkpoint = Checkpoint::open(&path)?;
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    names.iter().try_for_each(|name| checkpoint.read(name).map(drop))
}

#[test]
fn cut_files_are_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in FILES {
        let bytes = fs::read(fixture(name)).unwrap();
        read_all(folder.path(), &bytes).unwrap();
        for kept in [0, 1, 8, 9, 40, bytes.len() / 3, bytes.len() / 2, bytes.len() - 33] {
            let error = read_all(folder.path(), &bytes[..kept]).expect_err(name).to_string();
            assert!(error.contains("/file: "), "{name} cut to {kept}: {error}");
        }
    }
}

#[test]
fn a_safetensors_header_that_lies_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = |length: u64, header: &str, data: usize| {
        [&length.to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
    };
    let header = |shape: &str, to: u64| {
        format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{to}]}}}}"#)
    };
    let cases = [
        (file(u64::MAX, "{}", 0), "claims 18446744073709551615 bytes"),
        (file(99_999_999, "{}", 0), "99999999 bytes are announced"),
        (file(1, "{", 0), "header: EOF"),
    ];
    let bodies = [
        (header("[2]", 8), 4, "the tensors take 8 bytes, but 4 follow"),
        (header("[2]", 8), 12, "the tensors take 8 bytes, but 12 follow"),
        (header("[3]", 8), 8, "of shape [3] and type F32 cannot have 8 bytes"),
        (header("[4294967296,4294967296,4294967296]", 8), 8, "cannot have 8 bytes"),
        (header("[1]", u64::MAX), 4, "the tensors take 18446744073709551615 bytes"),
        (header("[1]", 4).replace("[0,4]", "[4,0]"), 4, "lies at 4..0"),
        (header("[-1]", 4), 4, "header: "),
    ];
    let bodies = bodies.map(|(header, data, message)| (file(header.len() as u64, &header, data), message));
    for (bytes, message) in cases.into_iter().chain(bodies) {
        let error = read_all(folder.path(), &bytes).unwrap_err().to_string();
        assert!(error.contains("not a whole safetensors file") && error.contains(message), "{error}");
    }
}

#[test]
fn an_archive_whose_members_lie_about_their_size_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(fixture("zip-0.pt")).unwrap();
    let directory = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let mut huge = bytes.clone();
    huge[directory + 20..directory + 28].copy_from_slice(&[0xf0; 8]);
    let error = read_all(folder.path(), &huge).unwrap_err().to_string();
    assert!(error.contains("ends behind the end of the file"), "{error}");
    let mut compressed = bytes.clone();
    compressed[directory + 10] = 8;
    let error = read_all(folder.path(), &compressed).unwrap_err().to_string();
    assert!(error.contains("is compressed"), "{error}");
}

#[test]
fn other_files_and_folders_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let failure = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).unwrap();
        Checkpoint::open(folder.path().join(name)).unwrap_err().to_string()
    };
    assert!(failure("pointer", b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
    assert!(failure("text", b"hello there, this is text").contains("in no known format"));
    assert!(failure("empty", b"").contains("is empty"));
    assert!(failure("config.json", br#"{"model_type": "opt"}"#).contains("not the index"));
    let escape = br#"{"weight_map": {"w": "../secret.bin"}}"#;
    assert!(failure("escape.json", escape).contains("not a file beside it"));
    assert!(failure("missing.json", br#"{"weight_map": {"w": "none.bin"}}"#).contains("none.bin"));
    assert!(Checkpoint::open(folder.path()).unwrap_err().to_string().contains("holds no checkpoint"));
    fs::write(folder.path().join("a.gguf"), b"x").unwrap();
    fs::write(folder.path().join("b.gguf"), b"x").unwrap();
    assert!(
        Checkpoint::open(folder.path()).unwrap_err().to_string().contains("name one of them: a.gguf, b.gguf")
    );
}

#[test]
fn unknown_tensors_and_colliding_names_are_named() {
    let checkpoint = Checkpoint::open(fixture("zip-0.pt")).unwrap();
    let error = checkpoint.read("transpose").unwrap_err().to_string();
    assert!(error.contains("no tensor \"transpose\"; did you mean \"transposed\"?"), "{error}");
    let error = checkpoint.rename(|_| Some("same".to_owned())).unwrap_err().to_string();
    assert!(error.contains("two tensors are named \"same\""), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever is changed, reading ends with tensors or an error, and never with a panic.
    #[test]
    fn damaged_files_never_panic(
        file in 0..FILES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = fs::read(fixture(FILES[file])).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read_all(folder.path(), &bytes);
    }

    #[test]
    fn random_bytes_never_panic(magic in 0..4usize, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        const MAGICS: [&[u8]; 4] = [b"GGUF\x03\0\0\0", b"\x80\x02", b"PK\x03\x04", b"\x20\0\0\0\0\0\0\0{"];
        let folder = tempfile::tempdir().unwrap();
        let _ = read_all(folder.path(), &[MAGICS[magic], &bytes].concat());
    }
}
