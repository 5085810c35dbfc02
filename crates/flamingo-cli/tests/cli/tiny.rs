//! A tiny model that was never trained: what it says makes no sense, and is the same each time.

use flamingo::core::device::Device;
use flamingo::data::TextTokenizer;
use flamingo::{FlamingoConfig, ModelFolder};
use tempfile::TempDir;

/// A folder with a model, `two.png`, and `broken.png`, which is none.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = TextTokenizer::train(["a red cat", "a blue dog"], 280).unwrap();
    let mut config = FlamingoConfig::nano();
    config.lm.vocab = tokenizer.base_vocab();
    let device = Device::flex();
    device.seed(7);
    let model = config.init(&device).unwrap();
    std::fs::create_dir(folder.path().join("model")).unwrap();
    ModelFolder { model, config, tokenizer }.save(&folder.path().join("model")).unwrap();
    let picture = |x, y| image::Rgba([x as u8 * 6, y as u8 * 8, 90, 255]);
    image::RgbaImage::from_fn(40, 30, picture).save(folder.path().join("two.png")).unwrap();
    std::fs::write(folder.path().join("broken.png"), "no picture").unwrap();
    folder
}
