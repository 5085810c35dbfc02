//! How fast a decoder reads a prompt and then goes on, on the CPU.
//!
//! `cargo run --release --example decode_speed -- [PROMPT] [NEW] [FILE.gguf or FOLDER]` prints the best of several rounds
//! for a prompt of so many tokens (512), and for new ones behind it (32), each with its scores; the second also as the
//! bandwidth at which the weights pass by. Without a model it has SmolLM2-135M's sizes and random weights, which is as
//! fast.

use std::error::Error;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use flamingo_lm::families::LanguageModel;
use flamingo_lm::{Decoder, DecoderCache, LmError, NoHook};

const ROUNDS: usize = 5;

/// What `config.json` of SmolLM2-135M says.
const SMOLLM2: &str = r#"{"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_act": "silu",
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000, "tie_word_embeddings": true}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse::<usize>());
    let (n_prompt, n_new) = (number(512)?, number(32)?);
    let device = Device::flex();
    let decoder = match arguments.next() {
        Some(path) => load(&path, &device)?,
        None => LanguageModel::from_config(&serde_json::from_str(SMOLLM2)?)?.config.init(&device),
    };
    let prompt: Vec<i32> = (0..n_prompt as i32).map(|i| (i * 7919) % 1000 + 1).collect();
    let prompt = Tensor::<1, Int>::from_data(prompt.as_slice(), &device).unsqueeze();
    let (mut prefill, mut decode) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let mut cache = decoder.cache(1, n_prompt + n_new);
        let start = Instant::now();
        let mut token = read(&decoder, prompt.clone(), &mut cache)?;
        prefill = prefill.min(start.elapsed().as_secs_f64() / n_prompt as f64);
        let start = Instant::now();
        for _ in 0..n_new {
            let ids = Tensor::from_data([[token]], &device);
            token = read(&decoder, ids, &mut cache)?;
        }
        decode = decode.min(start.elapsed().as_secs_f64() / n_new as f64);
    }
    let weights = decoder.num_params() as f64 * 4.0;
    println!("prompt of {n_prompt}: {:.0} tokens/s", 1.0 / prefill);
    println!("tokens behind it: {:.1} /s, {:.1} GB/s of weights", 1.0 / decode, weights / decode / 1e9);
    Ok(())
}

fn load(path: &str, device: &Device) -> Result<Decoder, LmError> {
    let (model, checkpoint) = LanguageModel::open(path)?;
    Ok(model.load(checkpoint, device)?.0)
}

/// The likeliest token behind `ids` `[1, L]`.
fn read(
    decoder: &Decoder,
    ids: Tensor<2, Int>,
    cache: &mut DecoderCache,
) -> Result<i32, burn::tensor::DataError> {
    let [_, len] = ids.dims();
    let hidden = decoder.extend(ids, cache, &NoHook);
    let last = hidden.narrow(1, len - 1, 1).squeeze_dim::<2>(1);
    decoder.logits(last).argmax(1).into_data().convert::<i32>().try_to_vec().map(|ids: Vec<i32>| ids[0])
}
