"""EfficientNet-Lite, tiny: timm's `EfficientNet` built as `tf_efficientnet_lite*`, and `efficientnet-lite-pytorch`'s.

`--count` prints the parameters of timm's Lite0 and Lite2 instead, with the norms' statistics and without the classifier.
"""

import sys
from functools import partial

import timm
import torch
from efficientnet_lite_pytorch.model import EfficientNet as PackageNet
from efficientnet_lite_pytorch.utils import BlockDecoder, GlobalParams
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from timm.models.efficientnet import EfficientNet

from common import SEEDS, generator, randomise, save, version

EPSILON = 1e-3


@torch.no_grad()
def statistics(net: torch.nn.Module, random: torch.Generator) -> None:
    """Random batch statistics: as initialised they are 0 and 1, and freezing would go unnoticed."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.copy_(0.8 + 0.2 * torch.randn(module.weight.shape, generator=random))
            module.running_mean.copy_(0.3 * torch.randn(module.weight.shape, generator=random))
            module.running_var.copy_(0.5 + torch.rand(module.weight.shape, generator=random))


def timm_net() -> EfficientNet:
    stages = [["ds_r1_k3_s1_e1_c16"], ["ir_r2_k3_s2_e3_c8"], ["ir_r2_k5_s2_e3_c16"]]
    return EfficientNet(
        decode_arch_def(stages),
        num_classes=5,
        num_features=80,
        stem_size=8,
        fix_stem=True,
        pad_type="same",
        round_chs_fn=partial(round_channels, multiplier=1.0),
        act_layer=torch.nn.ReLU6,
        norm_layer=partial(torch.nn.BatchNorm2d, eps=EPSILON),
    )


def package_net() -> PackageNet:
    # Sixteen times as wide as wanted: the coefficient is the only way to a narrow stem (8) and head (80).
    blocks = ["r1_k3_s11_e1_i128_o256", "r2_k3_s22_e3_i256_o128", "r2_k5_s22_e3_i128_o256"]
    params = GlobalParams(
        width_coefficient=1 / 16,
        depth_coefficient=1.0,
        image_size=None,  # padding is made for each image
        dropout_rate=0.0,
        num_classes=5,
        batch_norm_momentum=0.99,
        batch_norm_epsilon=EPSILON,
        drop_connect_rate=0.0,
        depth_divisor=8,
        min_depth=None,
        relu_fn="relu6",
        fix_head_stem=False,
        local_pooling=False,
        use_se=False,
    )
    return PackageNet(BlockDecoder.decode(blocks), params)


def generate(name: str, net: torch.nn.Module, seed: int) -> None:
    random = generator(seed)
    net = net.eval()
    randomise(net, random)
    statistics(net, random)
    tensors = {f"weights.{key}": value for key, value in net.state_dict().items()}
    last = {}
    blocks = net._blocks[-1] if name == "package" else net.blocks[-1]
    blocks.register_forward_hook(lambda module, inputs, output: last.update(grid=output))
    for size in (33, 40):
        image = torch.randn(1, 3, size, size, generator=random)
        with torch.no_grad():
            final = net.extract_features(image) if name == "package" else net.forward_features(image)
        tensors |= {f"out.{size}.stages": last["grid"], f"out.{size}.final": final}
        if name == "timm":  # the same seed gives the other one the same images
            tensors[f"in.{size}"] = image
    package = "efficientnet-lite-pytorch" if name == "package" else "timm"
    save(f"efficientnet-{name}-{seed}", tensors, "vision: EfficientNet-Lite", f"{version(package)} EfficientNet")


def count() -> None:
    for name in ("tf_efficientnet_lite0", "tf_efficientnet_lite2"):
        tensors = timm.create_model(name).state_dict().items()
        left_out = ("num_batches_tracked", "classifier")
        print(name, sum(value.numel() for key, value in tensors if not any(part in key for part in left_out)))


if __name__ == "__main__":
    if "--count" in sys.argv:
        count()
    else:
        for seed in SEEDS:
            generate("timm", timm_net(), seed)
            generate("package", package_net(), seed)
