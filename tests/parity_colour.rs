//! Random colours of training, one change at a time, against torchvision's `adjust_*`.

use burn::tensor::{Device, Tensor, TensorData};
use flamingo::data::augment::ColourChange;
use flamingo_testkit::Fixture;

const NONE: ColourChange = ColourChange::NONE;

/// The fixture's picture after `change`, `[3, H, W]`.
fn changed(fixture: &Fixture, change: ColourChange) -> Tensor<3> {
    let device = Device::flex();
    let picture: Tensor<3> = fixture.tensor("in.picture", &device);
    let [_, height, width] = picture.dims();
    let interleaved = picture.permute([1, 2, 0]).into_data().try_to_vec::<f32>().unwrap();
    let mut pixels = interleaved.as_chunks::<3>().0.to_vec();
    change.apply(&mut pixels);
    Tensor::<3>::from_data(TensorData::new(pixels.concat(), [height, width, 3]), &device).permute([2, 0, 1])
}

/// Its weights of red, green and blue in grey are rounded to 0.2989, 0.587 and 0.114; ours are 0.299, 0.587 and 0.114.
#[test]
fn colours_change_as_in_torchvision() {
    let fixture = Fixture::load("colour");
    for (key, change, bound) in [
        ("out.brightness_0.6", ColourChange { brightness: 0.6, ..NONE }, 1e-6),
        ("out.brightness_1.9", ColourChange { brightness: 1.9, ..NONE }, 1e-6),
        ("out.contrast_0.5", ColourChange { contrast: 0.5, ..NONE }, 1e-4),
        ("out.contrast_1.4", ColourChange { contrast: 1.4, ..NONE }, 1e-4),
        ("out.saturation_0.3", ColourChange { saturation: 0.3, ..NONE }, 1e-4),
        ("out.saturation_1.6", ColourChange { saturation: 1.6, ..NONE }, 1e-4),
        ("out.grey", ColourChange { saturation: 0.0, ..NONE }, 1e-4),
        ("out.hue_120", ColourChange { hue: 120.0, ..NONE }, 1e-5),
        ("out.hue_240", ColourChange { hue: 240.0, ..NONE }, 1e-5),
        ("out.chain", ColourChange { brightness: 1.2, contrast: 0.7, saturation: 1.3, hue: 120.0 }, 1e-4),
    ] {
        fixture.assert_close(key, changed(&fixture, change), bound);
    }
}
