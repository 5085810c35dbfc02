//! `flamingo generate`: how a model continues a prompt.

use std::path::PathBuf;

use flamingo::Prompt;
use serde_json::json;

use super::answer::print_stream;
use super::decoding::DecodingArgs;
use super::device::DeviceArg;
use super::input;
use super::model::ModelArgs;
use super::output::print;

/// Continue a prompt of texts, images and videos
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A JSON file, - for standard input: a list of {"text": …}, {"image": PATH}, {"video": PATH}, {"eoc": true}, or
    /// {"token_ids": […], "images": [PATH, …]}
    #[arg(long, value_name = "FILE", required_unless_present = "text")]
    prompt: Option<PathBuf>,
    /// A text, instead of a file
    #[arg(conflicts_with = "prompt")]
    text: Option<String>,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    device: DeviceArg,
    /// Print {"text", "tokens", "logprob", "timings"}
    #[arg(long, conflicts_with = "stream")]
    json: bool,
    /// Print the text as it comes
    #[arg(long)]
    stream: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let prompt = args.prompt()?;
    let mut engine = args.decoding.engine(args.model.open(&args.device.resolve()?)?);
    let options = args.decoding.options(engine.pretrained())?;
    if args.stream {
        return print_stream(&mut engine, &prompt, &options);
    }
    let answer = engine.generate(&[prompt], &options)?.remove(0);
    let text = match args.json {
        true => {
            let logprob = answer.logprob();
            let whole = json!({
                "text": answer.text, "tokens": answer.tokens, "logprob": logprob, "ending": answer.ending,
                "timings": engine.timings(),
            });
            format!("{whole}\n")
        }
        false => format!("{}\n", answer.text),
    };
    Ok(print(&text)?)
}

impl Args {
    fn prompt(&self) -> anyhow::Result<Prompt> {
        match (&self.prompt, &self.text) {
            (Some(path), _) => input::prompt(path),
            (None, text) => Ok(Prompt::text(text.clone().unwrap_or_default())),
        }
    }
}
