"""Perceiver Resampler and gated cross-attention from the `open-flamingo` package."""

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F

from common import SEEDS, generator, randomise, save, version, weighted_sum, weights


def load_helpers():
    """The package's own `helpers.py`, without importing the vision and language libraries of its `__init__`."""
    package = importlib.util.find_spec("open_flamingo").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("helpers", Path(package) / "src" / "helpers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HELPERS = load_helpers()
D_MEDIA, D_TEXT, LATENTS = 12, 10, 3


def resampler(seed: int, frames: int | None) -> None:
    random = generator(seed)
    net = HELPERS.PerceiverResampler(
        dim=D_MEDIA, depth=2, dim_head=4, heads=2, num_latents=LATENTS, max_num_frames=frames, ff_mult=3
    )
    randomise(net, random)
    features = torch.randn(2, 2, frames or 1, 5, D_MEDIA, generator=random).requires_grad_()  # [B, M, F, P, E]
    out = net(features)
    weighted_sum(out).backward()
    tensors = {"in.features": features, "out.latents": out}
    tensors |= {"grad.features": features.grad, "grad.latents": net.latents.grad}
    tensors |= weights(net)
    if frames:  # fewer frames than embeddings, then more: torch's linear interpolation, ends on ends
        tensors["out.two_frames"] = net(features[:, :, :2])
        clip = tensors["in.clip"] = torch.randn(1, 1, 9, 5, D_MEDIA, generator=random)
        stretched = F.interpolate(net.frame_embs.T[None], size=9, mode="linear", align_corners=True)[0].T
        net.frame_embs = torch.nn.Parameter(stretched.contiguous())
        tensors["out.clip"] = net(clip)
    kind = "video" if frames else "image"
    part, reference = f"resampler: {kind}s", f"{version('open_flamingo')} PerceiverResampler"
    save(f"resampler-{kind}-{seed}", tensors, part, reference)


def xattn(seed: int) -> None:
    """Three images, text before the first one, a row whose last image is never named, both attention modes."""
    random = generator(seed)
    options = dict(dim=D_TEXT, dim_visual=D_MEDIA, dim_head=4, heads=3, ff_mult=4)
    net = HELPERS.GatedCrossAttentionBlock(**options)
    randomise(net, random)
    text = torch.randn(2, 8, D_TEXT, generator=random)
    media = torch.randn(2, 3, LATENTS, D_MEDIA, generator=random)
    is_image = torch.tensor([[0, 0, 1, 0, 1, 0, 1, 0], [1, 0, 0, 1, 0, 0, 0, 0]], dtype=torch.bool)
    tensors = weights(net) | {"in.text": text, "in.media": media, "in.media_index": is_image.cumsum(-1)}
    for mode, immediate in (("preceding", True), ("all_previous", False)):
        net.attn.only_attend_immediate_media = immediate
        inputs = [text.clone().requires_grad_(), media.clone().requires_grad_()]
        net.zero_grad()
        attended = net.attn(*inputs, media_locations=is_image)
        out = net(*inputs, media_locations=is_image)
        sees = is_image.cumsum(-1).unsqueeze(-1) > 0
        weighted_sum(out * sees).backward()  # blind rows attend to everything in their second mode: no reference
        tensors |= {
            f"mid.{mode}.attended": attended,
            f"out.{mode}": out,
            f"grad.{mode}.text": inputs[0].grad,
            f"grad.{mode}.media": inputs[1].grad,
            f"grad.{mode}.attn_gate": net.attn_gate.grad.clone(),
            f"grad.{mode}.ff_gate": net.ff_gate.grad.clone(),
        }
    reference = f"{version('open_flamingo')} GatedCrossAttentionBlock"
    save(f"xattn-{seed}", tensors, "gated cross-attention", reference)


if __name__ == "__main__":
    for seed in SEEDS:
        resampler(seed, None)
        resampler(seed, 4)
        xattn(seed)
