"""Training arithmetic: torch's cross-entropy and AdamW, timm's adaptive gradient clipping."""

import torch
import torch.nn.functional as F
from timm.utils.agc import adaptive_clip_grad

from common import SEEDS, generator, save, version

LABEL_SMOOTHING, INVERSE_TEMPERATURE = 0.1, 7.5
CLIP_FACTOR = 0.05
ADAMW = dict(lr=3e-2, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.1)


def contrastive(seed: int) -> None:
    random = generator(seed)
    unit = lambda: F.normalize(torch.randn(6, 5, generator=random), dim=1).requires_grad_()
    images, texts = unit(), unit()
    inverse_temperature = torch.tensor([INVERSE_TEMPERATURE], requires_grad=True)
    logits = inverse_temperature * images @ texts.T
    labels = torch.arange(6)
    cross_entropy = lambda x: F.cross_entropy(x, labels, label_smoothing=LABEL_SMOOTHING)
    loss = cross_entropy(logits) + cross_entropy(logits.T)
    loss.backward()
    inputs = dict(images=images, texts=texts, inverse_temperature=inverse_temperature)
    tensors = {f"in.{name}": value for name, value in inputs.items()}
    tensors |= {f"grad.{name}": value.grad for name, value in inputs.items()}
    tensors["out.loss"] = loss.reshape(1)
    save(f"contrastive-{seed}", tensors, "training: contrastive loss", f"{version('torch')} cross_entropy")


def agc(seed: int) -> None:
    """A linear weight, a convolution's and a bias; some units over the limit, some under, one of zero weight."""
    random = generator(seed)
    tensors = {}
    for name, shape in dict(linear=(4, 3), conv=(4, 2, 3, 3), bias=(4,)).items():
        weight = torch.nn.Parameter(torch.randn(shape, generator=random))
        scale = torch.tensor([1e-3, 0.1, 1.0, 10.0]).reshape(-1, *[1] * (len(shape) - 1))
        weight.grad = scale * torch.randn(shape, generator=random)
        weight.data[3] = 0.0
        tensors |= {f"weights.{name}": weight, f"in.{name}": weight.grad.clone()}
        adaptive_clip_grad(weight, clip_factor=CLIP_FACTOR)
        tensors[f"out.{name}"] = weight.grad
    save(f"agc-{seed}", tensors, "training: adaptive clipping", f"{version('timm')} adaptive_clip_grad")


def adamw(seed: int) -> None:
    random = generator(seed)
    weight = torch.nn.Parameter(torch.randn(3, 4, generator=random))
    optimizer = torch.optim.AdamW([weight], **ADAMW)
    tensors = {"weights.weight": weight.detach().clone()}
    for step in range(3):
        weight.grad = torch.randn(3, 4, generator=random)
        tensors[f"in.grad{step}"] = weight.grad.clone()
        optimizer.step()
        tensors[f"out.weight{step}"] = weight.detach().clone()
    save(f"adamw-{seed}", tensors, "training: AdamW", f"{version('torch')} AdamW")


if __name__ == "__main__":
    for seed in SEEDS:
        contrastive(seed)
        agc(seed)
        adamw(seed)
