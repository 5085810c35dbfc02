//! `flamingo caption`: one line for each image.

use std::path::PathBuf;

use flamingo::{ModelFolder, caption_files};
use serde_json::json;

use super::device::DeviceArg;
use super::output::print;

/// Print a caption for each image, one a line
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A model folder or a finished run's folder
    #[arg(long, value_name = "DIR", default_value = "runs/first-light")]
    model: PathBuf,
    #[command(flatten)]
    device: DeviceArg,
    /// Print a list of {"image", "caption", "logprob"}
    #[arg(long)]
    json: bool,
    /// Image files
    #[arg(required = true)]
    images: Vec<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let device = args.device.resolve()?;
    let pretrained = ModelFolder::load(&args.model, &device)?;
    let captions = caption_files(&pretrained, &args.images, &device)?;
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
