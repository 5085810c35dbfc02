"""NFNet from timm's `NormFreeNet`, configured as `dm_nfnet_*` but tiny; `--count` prints the real sizes instead.

The `deepmind` fixture is the same network with the two constants in which DeepMind's program differs from timm's:
tanh GELU, and weights standardised by rsqrt(max(var * fan_in, 1e-4)).
"""

import sys

import timm
import torch
import torch.nn.functional as F
from timm.layers import ScaledStdConv2dSame
from timm.layers.padding import pad_same
from timm.models import nfnet
from timm.models.nfnet import NfCfg, NormFreeNet

from common import SEEDS, generator, randomise, save, version, weighted_sum, weights

CONFIG = NfCfg(
    depths=(1, 2, 1, 1),
    channels=(16, 32, 48, 48),
    stem_type="deep_quad",
    stem_chs=16,
    group_size=8,
    bottle_ratio=0.5,
    extra_conv=True,
    gamma_in_act=True,
    same_padding=True,
    skipinit=True,
    num_features=64,
    act_layer="gelu",
    attn_layer="se",
    attn_kwargs=dict(rd_ratio=0.5),
)


class DeepMindConv(ScaledStdConv2dSame):
    """DeepMind's `WSConv2D.standardize_weight`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = pad_same(x, self.kernel_size, self.stride, self.dilation)
        fan_in = self.weight[0].numel()
        var, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, unbiased=False)
        scale = torch.rsqrt((var * fan_in).clamp(min=1e-4)) * self.gain
        return F.conv2d(x, self.weight * scale - mean * scale, self.bias, self.stride, 0, self.dilation, self.groups)


def build(variant: str) -> NormFreeNet:
    net = NormFreeNet(CONFIG, num_classes=0)
    if variant == "deepmind":
        for module in net.modules():
            if isinstance(module, ScaledStdConv2dSame):
                module.__class__ = DeepMindConv
            elif isinstance(module, nfnet.GammaAct):
                module.act_fn = lambda x, inplace=False: F.gelu(x, approximate="tanh")
    return net.eval()


def generate(variant: str, seed: int) -> None:
    random = generator(seed)
    net = build(variant)
    randomise(net, random)
    tensors = weights(net) if variant == "timm" else {}  # the same seed gives the same weights and images
    for size in (50, 64):  # odd sides after three halvings, and even ones all the way
        image = torch.randn(1, 3, size, size, generator=random).requires_grad_()
        x = tensors[f"mid.{size}.stem"] = net.stem(image)
        for index, stage in enumerate(net.stages):
            x = tensors[f"mid.{size}.stage{index}"] = stage(x)
        out = net.forward_features(image)
        weighted_sum(out).backward()
        tensors |= {f"out.{size}": out, f"grad.{size}": image.grad}
        if variant == "timm":
            tensors[f"in.{size}"] = image
    reference = f"{version('timm')} NormFreeNet{', constants of DeepMind' if variant == 'deepmind' else ''}"
    save(f"nfnet-{variant}-{seed}", tensors, "vision: NFNet", reference)


def count() -> None:
    for name in ("dm_nfnet_f0", "dm_nfnet_f6"):
        with torch.device("meta"):
            net = timm.create_model(name)
        print(name, sum(parameter.numel() for parameter in net.parameters()))


if __name__ == "__main__":
    if "--count" in sys.argv:
        count()
    else:
        for seed in SEEDS:
            generate("timm", seed)
        generate("deepmind", SEEDS[0])
