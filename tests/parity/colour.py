"""What torchvision's `adjust_*` functions make of one picture: `fixtures/colour.safetensors`.

A floating-point picture, so that nothing is rounded. Its colours are far enough from black and white that no change
leaves the range before the last one: torchvision cuts colours off after every change, we once.

torchvision turns the hue in HSV, we turn it about the axis of greys. They are the same at thirds of a turn, where both
exchange the channels, and nowhere else: that is all of the hue that can be compared.
"""

import torch
from torchvision.transforms.v2 import functional as F

from common import generator, save, version

if __name__ == "__main__":
    picture = 0.3 + 0.35 * torch.rand(3, 14, 18, generator=generator(0))
    chain = F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(picture, 1.2), 0.7), 1.3)
    save(
        "colour",
        {
            "in.picture": picture,
            "out.brightness_0.6": F.adjust_brightness(picture, 0.6),
            "out.brightness_1.9": F.adjust_brightness(picture, 1.9),
            "out.contrast_0.5": F.adjust_contrast(picture, 0.5),
            "out.contrast_1.4": F.adjust_contrast(picture, 1.4),
            "out.saturation_0.3": F.adjust_saturation(picture, 0.3),
            "out.saturation_1.6": F.adjust_saturation(picture, 1.6),
            "out.grey": F.rgb_to_grayscale(picture, num_output_channels=3),
            "out.hue_120": F.adjust_hue(picture, 1 / 3),
            "out.hue_240": F.adjust_hue(picture, -1 / 3),
            "out.chain": F.adjust_hue(chain, 1 / 3),
        },
        "pictures",
        version("torchvision"),
    )
