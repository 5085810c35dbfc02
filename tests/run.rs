//! A whole run, in miniature: all stages, report, captions; the same twice, and the same when it is interrupted.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use flamingo::generate::GenerateOptions;
use flamingo::run::{RunConfig, RunEnd, RunRequest, train};
use flamingo::stages::Stage;
use flamingo::train::{Existing, JsonlSink, MetricRecord, Progress};
use flamingo::{Engine, Medium, Pretrained, Replica, Source};

fn request(folder: &Path) -> RunRequest {
    let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("datasets");
    let mut config = RunConfig::nano();
    config.data.folders = vec![datasets.join("emoji")];
    config.contrastive.batch = 8;
    config.contrastive.train.steps = 3;
    config.language.batch = 2;
    config.language.train.steps = 3;
    config.flamingo.pages_batch = 2;
    config.flamingo.pairs_batch = 4;
    config.flamingo.train.steps = 3;
    for stage in [&mut config.contrastive.train, &mut config.language.train, &mut config.flamingo.train] {
        stage.log_every = 1;
    }
    config.evaluation.samples = 6;
    config.evaluation.max_tokens = 3;
    RunRequest {
        folder: folder.to_owned(),
        config,
        existing: Existing::Refuse,
        until: Stage::Flamingo,
        towers_from: None,
        progress: Progress::Hidden,
    }
}

/// Held by a test while it runs: weights are drawn from random numbers that all tests of a process share.
static RANDOM: Mutex<()> = Mutex::new(());

fn alone() -> [Replica; 1] {
    [Replica::alone(&Device::flex())]
}

fn go(request: &RunRequest) -> RunEnd {
    train(request, &alone(), &AtomicBool::new(false)).unwrap()
}

/// All that must repeat: everything but the speed.
fn losses(folder: &Path) -> Vec<MetricRecord> {
    let records = JsonlSink::read(&folder.join("metrics.jsonl")).unwrap();
    let timeless = |record| MetricRecord { images_per_s: 0.0, elapsed_s: 0.0, ..record };
    records.into_iter().map(timeless).collect()
}

#[test]
fn a_run_repeats_itself_and_an_interrupted_one_ends_the_same() {
    let _random = RANDOM.lock();
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    let RunEnd::Finished(report) = go(&request(&whole)) else { panic!("the run did not finish") };
    assert!(report.to_string().contains("heldout images"));
    let expected = losses(&whole);
    assert_eq!(expected.len(), 9);

    // Stopped before its first update, then after a stage, then let go on.
    let mut interrupted = request(&parts);
    let stopped = train(&interrupted, &alone(), &AtomicBool::new(true)).unwrap();
    assert!(matches!(stopped, RunEnd::Paused { stage: Stage::Contrastive }));
    interrupted.existing = Existing::Resume;
    interrupted.until = Stage::Language;
    assert!(matches!(go(&interrupted), RunEnd::Paused { stage: Stage::Flamingo }));
    interrupted.until = Stage::Flamingo;
    assert!(matches!(go(&interrupted), RunEnd::Finished(_)));
    assert_eq!(losses(&parts), expected);

    the_report_has_what_it_promises(&whole);
    a_saved_model_captions_files(&whole);

    // The folder is taken now.
    let error = train(&request(&whole), &alone(), &AtomicBool::new(false)).unwrap_err().to_string();
    assert!(error.contains("--resume"), "{error}");
    // And belongs to its configuration.
    let mut other = RunRequest { existing: Existing::Resume, ..request(&whole) };
    other.config.seed += 1;
    assert!(train(&other, &alone(), &AtomicBool::new(false)).is_err());
}

#[test]
fn two_replicas_begin_alike_and_go_through_all_stages() {
    let _random = RANDOM.lock();
    let dir = tempfile::tempdir().unwrap();
    let request = request(&dir.path().join("two"));
    let end = train(&request, &Replica::sharing(&Device::flex(), 2), &AtomicBool::new(false)).unwrap();
    assert!(matches!(end, RunEnd::Finished(_)));
    // Each record counts what both have seen.
    let alone = dir.path().join("alone");
    go(&self::request(&alone));
    for (two, one) in losses(&request.folder).iter().zip(losses(&alone)).take(6) {
        assert_eq!((two.step, two.images), (one.step, 2 * one.images));
    }
}

fn the_report_has_what_it_promises(folder: &Path) {
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    for stage in ["contrastive", "language", "flamingo"] {
        assert!(report["stages"][stage]["seconds"].is_f64(), "{stage}");
    }
    assert!(report["params"]["trained"].is_u64() && report["params"]["frozen"].is_u64());
    for split in ["train_images", "heldout_images", "heldout_concepts"] {
        assert_eq!(report[split]["n"], 6);
        let figures = [
            "nll_right",
            "nll_shuffled",
            "nll_no_image",
            "exact_right",
            "exact_shuffled",
            "retrieval_r1",
            "retrieval_chance",
        ];
        for key in figures {
            assert!(report[split][key].is_f64(), "{split} {key}");
        }
    }
    // Six pictures are one page.
    assert_eq!(report["heldout_pages"]["n"], 4);
    for key in ["nll_right", "nll_rotated", "prefers_own"] {
        assert!(report["heldout_pages"][key].is_f64(), "{key}");
    }
    let html = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(html.contains("data:image/png;base64,") && html.contains("layer 00"));
    assert!(!html.contains("src=\"http"));
}

fn a_saved_model_captions_files(folder: &Path) {
    let device = Device::flex();
    let mut engine = Engine::new(Pretrained::open(folder.to_str().unwrap(), &device).unwrap());
    let mut captions = |files: &[&Path]| {
        let media = files.iter().map(|file| Medium::Image(Source::File(file.to_path_buf())));
        engine.captions(&media.collect::<Vec<_>>(), &[], &GenerateOptions::default())
    };
    let picture: PathBuf = folder.join("picture.png");
    image::RgbaImage::from_fn(40, 30, |x, y| image::Rgba([x as u8 * 6, y as u8 * 8, 90, 255]))
        .save(&picture)
        .unwrap();
    let twice = captions(&[&picture, &picture]).unwrap();
    assert_eq!(twice.len(), 2);
    assert_eq!(twice[0].text, twice[1].text);
    assert!(twice[0].logprob < 0.0);

    let text = folder.join("text.png");
    std::fs::write(&text, "no picture").unwrap();
    let error = captions(&[&text]).unwrap_err().to_string();
    assert!(error.contains("text.png"), "{error}");
}
