//! `flamingo score`: how likely a model finds each token of a prompt.

use std::path::PathBuf;

use flamingo::Score;

use super::device::DeviceArg;
use super::input;
use super::model::ModelArgs;
use super::output::print;

/// Print the log-probability of every token of a prompt, in nats, given all before it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A JSON file, - for standard input: a list of {"text": …}, {"image": PATH}, {"video": PATH}, {"eoc": true}, or
    /// {"token_ids": […], "images": [PATH, …]}
    #[arg(long, value_name = "FILE")]
    prompt: PathBuf,
    #[command(flatten)]
    device: DeviceArg,
    /// Print {"tokens", "pieces", "logprobs", "sum"}
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let prompt = input::prompt(&args.prompt)?;
    let score = args.model.open(&args.device.resolve()?)?.score(&prompt)?;
    let text = match args.json {
        true => serde_json::to_string(&score)? + "\n",
        false => table(&score),
    };
    Ok(print(&text)?)
}

fn table(score: &Score) -> String {
    let Score { tokens, pieces, logprobs, sum } = score;
    let mut text = String::new();
    for ((token, piece), logprob) in tokens.iter().zip(pieces).zip(logprobs) {
        let logprob = logprob.map_or_else(|| "-".to_owned(), |logprob| format!("{logprob:.4}"));
        text += &format!("{logprob:>10}  {token:>6}  {piece}\n");
    }
    let counted = logprobs.iter().flatten().count();
    let perplexity = (-sum / counted.max(1) as f64).exp();
    text + &format!("{sum:>10.4}  sum over {counted} tokens, perplexity {perplexity:.3}\n")
}
