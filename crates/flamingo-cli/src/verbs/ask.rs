//! `flamingo ask`: a question about images.

use std::path::PathBuf;

use flamingo::prompt::{Example, Task, Template};
use flamingo::{Medium, Source};
use serde_json::json;

use super::answer::print_stream;
use super::decoding::DecodingArgs;
use super::device::DeviceArg;
use super::input;
use super::model::ModelArgs;
use super::output::print;
use super::shots::ShotsArg;

/// Answer a question about images or clips
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// What the question is about, - for standard input; may be given several times
    #[arg(long, value_name = "PATH")]
    image: Vec<PathBuf>,
    /// A clip that the question is about, behind the images
    #[arg(long, value_name = "PATH")]
    video: Vec<PathBuf>,
    #[command(flatten)]
    shots: ShotsArg,
    /// Another wording than the model's family has, with {image}, {question}, {answer} and {eoc} in it
    #[arg(long, value_name = "TEXT")]
    template: Option<String>,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    device: DeviceArg,
    /// Print {"answer", "logprob", "timings"}
    #[arg(long)]
    json: bool,
    /// Print the answer as it comes
    #[arg(long, conflicts_with = "json")]
    stream: bool,
    /// The question, - for standard input
    question: String,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let shots = args.shots.read()?;
    let mut media = args.image.iter().map(|path| input::image(path)).collect::<Result<Vec<_>, _>>()?;
    media.extend(args.video.iter().map(|path| Medium::Video(Source::File(path.clone()))));
    let query = Example { media, question: input::text(&args.question)?, answer: String::new() };

    let mut engine = args.decoding.engine(args.model.open(&args.device.resolve()?)?);
    let dialect = &engine.pretrained().dialect;
    let template = match &args.template {
        Some(text) => Template::parse(text)?,
        None => Template::of(dialect.style(), Task::Question),
    };
    let prompt = template.prompt(dialect, &shots, &query);
    let options = args.decoding.options(engine.pretrained())?;
    if args.stream {
        return print_stream(&mut engine, &prompt, &options);
    }
    let generated = engine.generate(&[prompt], &options)?.remove(0);
    let (answer, logprob) = (generated.text.trim(), generated.logprob());
    let text = match args.json {
        true => json!({ "answer": answer, "logprob": logprob, "timings": engine.timings() }).to_string(),
        false => answer.to_owned(),
    };
    Ok(print(&format!("{text}\n"))?)
}
