//! Models by their ids, from a hub on this machine: what is asked for, what is kept, and what a person reads if it fails.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use flamingo::FlamingoError;
use flamingo::hub::HubConfig;
use flamingo::published::load_idefics;
use flamingo::weights::Checkpoint;

use crate::hub_server::{COMMIT, MODEL, Server};

/// A hub and an empty cache.
struct Setup {
    server: Server,
    config: HubConfig,
    _folder: tempfile::TempDir,
}

impl Setup {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let server = Server::new(files);
        let folder = tempfile::tempdir().unwrap();
        let config = HubConfig {
            endpoint: server.endpoint.clone(),
            cache: folder.path().join("hub"),
            token: None,
            offline: false,
            progress: false,
            retries: 0,
        };
        Self { server, config, _folder: folder }
    }

    fn offline(&self) -> HubConfig {
        HubConfig { offline: true, ..self.config.clone() }
    }

    fn requests(&self) -> Vec<String> {
        self.server.state.lock().unwrap().take_requests()
    }

    fn error(&self) -> String {
        self.config.locate(MODEL).unwrap_err().to_string()
    }

    /// Where the model's folder is when it is there.
    fn snapshot(&self) -> PathBuf {
        self.config.cache.join(format!("models--{}/snapshots/{COMMIT}", MODEL.replace('/', "--")))
    }

    /// What the cache holds of the files themselves, locks left out.
    fn blobs(&self) -> Vec<String> {
        let folder = self.snapshot().join("../../blobs");
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const SMALL: [(&str, &[u8]); 4] = [
    ("config.json", b"{}"),
    ("model.safetensors", b"weights"),
    ("tokenizer.json", b"{\"version\": \"1.0\"}"),
    ("README.md", b"not used"),
];

#[test]
fn a_model_is_fetched_once_and_then_found() {
    let others: [(&str, &[u8]); 3] =
        [("pytorch_model.bin", b"same"), ("onnx/model.onnx", b"same"), ("tf_model.h5", b"same")];
    let setup = Setup::new(&[&SMALL[..], &others[..]].concat());
    let folder = setup.config.locate(MODEL).unwrap();
    assert_eq!(folder, setup.snapshot());
    assert_eq!(names(&folder), ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), b"weights");
    assert_eq!(fs::read_to_string(folder.join("../../refs/main")).unwrap(), COMMIT);
    let requests = setup.requests();
    assert!(!requests.iter().any(|request| request.contains("README") || request.contains(".bin")));

    let again = [MODEL.to_owned(), format!("{MODEL}@main"), format!("{MODEL}@{COMMIT}")];
    for name in again {
        assert_eq!(setup.config.locate(&name).unwrap(), folder);
        assert_eq!(setup.offline().locate(&name).unwrap(), folder);
    }
    assert_eq!(setup.requests(), [""; 0], "the cache is enough");
}

#[test]
fn shards_are_fetched_with_their_index() {
    let index = br#"{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}"#;
    let files: [(&str, &[u8]); 4] = [
        ("config.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("model-1-of-2.safetensors", b"one"),
        ("model-2-of-2.safetensors", b"two"),
    ];
    let setup = Setup::new(&files);
    let folder = setup.config.locate(MODEL).unwrap();
    assert_eq!(names(&folder).len(), 4);

    fs::remove_file(folder.join("model-2-of-2.safetensors")).unwrap();
    let error = setup.offline().locate(MODEL).unwrap_err();
    assert!(matches!(error, FlamingoError::Offline { .. }), "a model without a shard is not whole: {error}");
    setup.requests();
    setup.config.locate(MODEL).unwrap();
    let fetched = setup.requests();
    assert!(fetched.iter().any(|request| request.contains("model-2-of-2")), "{fetched:?}");
    assert!(!fetched.iter().any(|request| request.contains("model-1-of-2")), "{fetched:?}");

    let torn = Setup::new(&files[..3]);
    let error = torn.error();
    assert!(error.contains("model-2-of-2.safetensors, which it has not"), "{error}");
}

#[test]
fn paths_come_first_and_other_names_are_explained() {
    let setup = Setup::new(&SMALL);
    let here = env!("CARGO_MANIFEST_DIR");
    assert_eq!(setup.config.locate(here).unwrap(), Path::new(here));
    assert_eq!(flamingo::hub::locate(here).unwrap(), Path::new(here));
    let error = setup.config.locate("flamingo-tiny").unwrap_err();
    assert!(matches!(error, FlamingoError::NoSuchModel { .. }), "{error}");
    assert_eq!(setup.requests(), [""; 0]);
}

#[test]
fn offline_without_a_cache_says_where_it_looked() {
    let setup = Setup::new(&SMALL);
    let error = setup.offline().locate(MODEL).unwrap_err().to_string();
    for part in [MODEL, "HF_HUB_OFFLINE", setup.config.cache.to_str().unwrap()] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert_eq!(setup.requests(), [""; 0]);
}

#[test]
fn what_the_hub_refuses_is_explained() {
    let setup = Setup::new(&SMALL);
    let error = setup.config.locate("birds/heron@v2").unwrap_err().to_string();
    assert!(error.contains("no model birds/heron@v2 (404)"), "{error}");

    setup.server.state.lock().unwrap().token = Some("secret".to_owned());
    let error = setup.error();
    assert!(error.contains("HF_TOKEN") && error.contains(MODEL), "{error}");
    let with_token = HubConfig { token: Some("secret".to_owned()), ..setup.config.clone() };
    assert_eq!(with_token.locate(MODEL).unwrap(), setup.snapshot());

    let empty = Setup::new(&SMALL[3..]);
    assert!(empty.error().contains("no weights"), "{}", empty.error());
    let nobody = HubConfig { endpoint: "http://127.0.0.1:9".to_owned(), ..empty.config.clone() };
    let error = nobody.locate(MODEL).unwrap_err().to_string();
    assert!(error.contains("http://127.0.0.1:9") && error.contains("HF_ENDPOINT"), "{error}");
}

#[test]
fn a_transfer_that_breaks_off_is_taken_up_again() {
    let setup = Setup::new(&SMALL);
    setup.server.state.lock().unwrap().breaks = Some(("model.safetensors".to_owned(), 3));
    let error = setup.error();
    assert!(error.contains("model.safetensors"), "{error}");
    assert!(!setup.snapshot().join("model.safetensors").exists(), "no half file is left");
    assert!(!setup.snapshot().join("../../refs/main").exists(), "the model is not whole");
    setup.requests();

    setup.config.locate(MODEL).unwrap();
    let requests = setup.requests();
    assert!(requests.iter().any(|request| request.ends_with("model.safetensors bytes=3-")), "{requests:?}");
    assert_eq!(fs::read(setup.snapshot().join("model.safetensors")).unwrap(), b"weights");
    assert!(!setup.blobs().iter().any(|name| name.ends_with(".part")));
}

#[test]
fn retries_need_no_second_call() {
    let setup = Setup::new(&SMALL);
    setup.server.state.lock().unwrap().breaks = Some(("tokenizer.json".to_owned(), 3));
    let patient = HubConfig { retries: 1, ..setup.config.clone() };
    assert_eq!(fs::read(patient.locate(MODEL).unwrap().join("tokenizer.json")).unwrap(), SMALL[2].1);
}

#[test]
fn a_damaged_file_is_not_kept() {
    let setup = Setup::new(&SMALL);
    setup.server.state.lock().unwrap().damaged = Some("model.safetensors".to_owned());
    let error = setup.error();
    assert!(error.contains("model.safetensors came damaged") && error.contains("SHA-256"), "{error}");
    assert_eq!(names(&setup.snapshot()), ["config.json", "tokenizer.json"]);
    assert_eq!(setup.blobs().len(), 2, "{:?}", setup.blobs());

    setup.server.state.lock().unwrap().damaged = None;
    assert_eq!(fs::read(setup.config.locate(MODEL).unwrap().join("model.safetensors")).unwrap(), b"weights");
}

/// A model of transformers' IDEFICS by its id, and then every tensor accounted for.
#[test]
fn a_whole_model_loads_by_its_id() {
    let fixture =
        Checkpoint::open(format!("{}/fixtures/idefics-0.safetensors", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let config = fixture.metadata()["config.json"].as_str().unwrap().as_bytes().to_vec();
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("model.safetensors");
    let model = fixture.rename(|name| name.strip_prefix("weights.").map(str::to_owned)).unwrap();
    model.save_safetensors(&weights, None).unwrap();
    let weights = fs::read(weights).unwrap();

    let setup = Setup::new(&[("config.json", &config), ("model.safetensors", &weights)]);
    let loaded = load_idefics(setup.config.locate(MODEL).unwrap(), &Device::flex()).unwrap();
    assert!(loaded.reports.iter().all(|report| report.is_complete()), "{:?}", loaded.reports);
}
