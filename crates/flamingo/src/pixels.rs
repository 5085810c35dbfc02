//! Pictures to the tensor that the model reads, without augmentation.

use burn::tensor::{Device, Tensor, TensorData};
use flamingo_core::PreprocessSpec;
use flamingo_data::ImageTransform;
use image::RgbaImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Each picture as a clip of one frame, `[N, 1, 1, 3, I, I]`.
pub(crate) fn to_pixels<'a>(
    pictures: impl Iterator<Item = &'a RgbaImage>,
    spec: &PreprocessSpec,
    device: &Device,
) -> Tensor<6> {
    let transform = ImageTransform::eval(spec.clone());
    let size = spec.size;
    let mut values = Vec::new();
    let mut count = 0;
    for picture in pictures {
        let start = values.len();
        values.resize(start + 3 * size * size, 0.0);
        transform.apply(picture, &mut no_randomness(), &mut values[start..]);
        count += 1;
    }
    Tensor::from_data(TensorData::new(values, [count, 1, 1, 3, size, size]), device)
}

/// For transforms without augmentation, which draw nothing.
pub(crate) fn no_randomness() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}
