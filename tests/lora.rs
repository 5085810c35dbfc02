//! Adapters on the language model of a whole Flamingo: what learns, what is in checkpoints, what is exported.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use flamingo::core::Precision;
use flamingo::lm::{LoraConfig, NoHook};
use flamingo::loss::LossSpec;
use flamingo::stages::flamingo::{FlamingoObjective, paper};
use flamingo::train::{
    Alone, BoxStream, Checkpoint, Indexed, MemorySink, Progress, Schedule, SourceSpec, StreamError,
    TrainConfig, Trainer, trainable_paths,
};
use flamingo::{Flamingo, HostBatch, MediaAttention};

use crate::tiny::{EOC, IMAGE, config};

fn adapted(device: &Device) -> Flamingo {
    let mut model = config(MediaAttention::Preceding).init(device).unwrap();
    model.lm = LoraConfig { rank: 2, ..LoraConfig::default() }.attach(model.lm).unwrap();
    model
}

fn batch() -> HostBatch {
    let size = config(MediaAttention::Preceding).preprocess.size;
    HostBatch {
        batch: 1,
        len: 6,
        media: 1,
        frames: 1,
        size,
        ids: vec![1, IMAGE, 3, 4, 5, EOC],
        media_index: vec![0, 1, 1, 1, 1, 1],
        loss_weights: vec![1.0; 6],
        pixels: (0..3 * size * size).map(|i| ((i * 31 % 97) as f32 - 48.0) / 40.0).collect(),
        ..HostBatch::default()
    }
}

#[test]
fn closed_gates_and_new_adapters_leave_the_language_model_as_it_is_bit_for_bit() {
    let device = Device::flex();
    let model = adapted(&device);
    let ids = || Tensor::<2, Int>::from_data([[1, 20, 3, 4, 5, 21]], &device);
    let through = model.forward(&batch().to_device(&device)).into_data();
    assert_eq!(through, model.bare_logits(ids()).into_data());
    let bare = model.lm.clone().merged();
    assert!(bare.adapted().is_empty() && model.lm.adapted().len() == 6);
    assert_eq!(through, bare.forward(ids(), &NoHook).into_data());
}

#[test]
fn adapters_train_are_resumed_and_merged() {
    for precision in [Precision::F32, Precision::Bf16] {
        let folder = tempfile::tempdir().unwrap();
        let fresh = adapted(&Device::flex()).frozen_for_training();
        let paths = trainable_paths(&fresh);
        let of_lm: Vec<&String> = paths.iter().filter(|path| path.starts_with("lm.")).collect();
        // Two factors of two projections in three layers, and the new tokens' rows.
        assert_eq!(of_lm.len(), 13, "{of_lm:?}");
        assert!(of_lm.contains(&&"lm.blocks.2.attention.value.weight.lora.b".to_owned()), "{of_lm:?}");

        let train = |steps: u64, model: &Flamingo| {
            let trainer = Trainer {
                stage: "lora".into(),
                config: TrainConfig {
                    steps: 6,
                    schedule: Schedule::Constant { peak: 1e-2, warmup: 0 },
                    sources: vec![SourceSpec { name: "only".into(), weight: 1.0 }],
                    checkpoint_every: steps,
                    precision,
                    ..paper()
                },
                checkpoints: folder.path().join("checkpoints"),
                progress: Progress::Hidden,
                threads: 1,
                sync: Arc::new(Alone),
            };
            let stream: BoxStream<HostBatch> = Box::new(Indexed::new(1, |_| Ok::<_, StreamError>(batch())));
            let objective =
                FlamingoObjective { device: Device::flex().autodiff(), loss: LossSpec::default() };
            let mut sink = MemorySink::default();
            let never = AtomicBool::new(false);
            trainer.fit(&objective, model.clone(), &mut [stream], &mut sink, &never).unwrap().model
        };
        let done = train(3, &fresh);
        let weight = |model: &Flamingo| model.lm.blocks[1].attention.value.weight.clone();
        assert_eq!(weight(&done).base().into_data(), weight(&fresh).base().into_data(), "{precision}");
        let b = weight(&done).adapter().unwrap().b.val().into_data();
        assert!(b.iter::<f32>().any(|value| value != 0.0), "the adapter has learned");

        let checkpoint = Checkpoint::latest(&folder.path().join("checkpoints")).unwrap().unwrap();
        let file = flamingo_weights::Checkpoint::open(checkpoint.path().join("model.safetensors")).unwrap();
        let mut saved: Vec<String> = file.names().map(str::to_owned).collect();
        let mut expected = paths.clone();
        saved.sort();
        expected.sort();
        assert_eq!(saved, expected);
        // Other weights under the same names: what learns comes from the checkpoint.
        let again = train(3, &adapted(&Device::flex()).frozen_for_training());
        assert_eq!(weight(&again).adapter().unwrap().b.val().into_data(), b);

        let plain = done.valid();
        let merged = plain.clone().materialize();
        assert!(merged.lm.adapted().is_empty());
        let batch = batch().to_device(&Device::flex());
        let difference = (plain.forward(&batch) - merged.forward(&batch)).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
        let before = fresh.valid().forward(&batch);
        assert!((plain.forward(&batch) - before).abs().max().into_scalar::<f32>() > 1e-3);
    }
}
