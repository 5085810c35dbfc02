//! `flamingo caption`: one line for each image.

use std::path::PathBuf;

use serde_json::json;

use super::decoding::DecodingArgs;
use super::device::DeviceArg;
use super::input;
use super::model::ModelArgs;
use super::output::print;
use super::shots::ShotsArg;

/// Print a caption for each image, one a line
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    shots: ShotsArg,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    device: DeviceArg,
    /// Print a list of {"image", "caption", "logprob"}
    #[arg(long)]
    json: bool,
    /// Image files, - for standard input
    #[arg(required = true)]
    images: Vec<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let shots = args.shots.read()?;
    let mut engine = args.decoding.engine(args.model.open(&args.device.resolve()?)?);
    let media = args.images.iter().map(|image| input::image(image)).collect::<Result<Vec<_>, _>>()?;
    let options = args.decoding.options(engine.pretrained())?;
    let captions = engine.captions(&media, &shots, &options)?;
    if args.json {
        let list: Vec<_> = args
            .images
            .iter()
            .zip(&captions)
            .map(|(image, caption)| json!({ "image": image, "caption": caption.text, "logprob": caption.logprob }))
            .collect();
        print(&format!("{}\n", serde_json::to_string_pretty(&list)?))?;
    } else {
        let lines: String = captions.iter().map(|caption| format!("{}\n", caption.text)).collect();
        print(&lines)?;
    }
    Ok(())
}
