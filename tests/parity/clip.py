"""CLIP's vision transformer: open_clip's, with GELU and with quick GELU, and transformers' `CLIPVisionModel`, tiny.

OpenFlamingo and IDEFICS read the tokens before the last norm. open_clip of today returns them behind it, so the tokens
are taken at the last block, where open_clip 2.22 took them.
"""

import torch
from open_clip.transformer import LayerNorm, QuickGELU, VisionTransformer
from transformers import CLIPVisionConfig, CLIPVisionModel

from common import SEEDS, generator, randomise, save, version, weights

SIZE, PATCH, WIDTH, LAYERS, HEADS, MLP, JOINT = 21, 7, 16, 2, 2, 40, 12


@torch.no_grad()
def fill(net: torch.nn.Module, random: torch.Generator) -> None:
    randomise(net, random)
    for module in net.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.weight.copy_(1 + 0.2 * torch.randn(module.weight.shape, generator=random))


def open_clip(seed: int, quick: bool) -> None:
    random = generator(seed)
    net = VisionTransformer(
        image_size=SIZE,
        patch_size=PATCH,
        width=WIDTH,
        layers=LAYERS,
        heads=HEADS,
        mlp_ratio=MLP / WIDTH,
        output_dim=JOINT,
        act_layer=QuickGELU if quick else torch.nn.GELU,
        norm_layer=LayerNorm,
        output_tokens=True,
    ).eval()
    fill(net, random)
    tokens = {}
    net.transformer.register_forward_hook(lambda module, inputs, output: tokens.update(last=output))
    net.ln_pre.register_forward_hook(lambda module, inputs, output: tokens.update(first=output))
    image = torch.randn(2, 3, SIZE, SIZE, generator=random)
    with torch.no_grad():
        pooled, normed = net(image)
        # What makes the difference between versions: had the norm been applied, the tokens would be these.
        assert torch.equal(net.ln_post(tokens["last"])[:, 1:], normed)
    named = {f"weights.visual.{key.removeprefix('weights.')}": value for key, value in weights(net).items()}
    text = {"weights.logit_scale": torch.ones(()), "weights.token_embedding.weight": torch.ones(2, 2)}
    outputs = {"mid.embed": tokens["first"], "out.tokens": tokens["last"], "out.pooled": pooled}
    act = "quick GELU" if quick else "GELU"
    reference = f"{version('open_clip_torch')} VisionTransformer, {act}"
    name = f"clip-open-clip{'-quick' if quick else ''}-{seed}"
    save(name, named | text | {"in.image": image} | outputs, "vision: CLIP", reference)


def transformers(seed: int) -> None:
    random = generator(100 + seed)
    config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=MLP,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        image_size=SIZE,
        patch_size=PATCH,
        hidden_act="quick_gelu",
    )
    net = CLIPVisionModel(config).eval()
    fill(net, random)
    image = torch.randn(2, 3, SIZE, SIZE, generator=random)
    with torch.no_grad():
        out = net(image)
    position_ids = {"weights.vision_model.embeddings.position_ids": torch.arange(10)[None]}
    outputs = {"out.tokens": out.last_hidden_state, "out.pooled": out.pooler_output}
    tensors = weights(net) | position_ids | {"in.image": image} | outputs
    save(f"clip-transformers-{seed}", tensors, "vision: CLIP", f"{version('transformers')} CLIPVisionModel")


if __name__ == "__main__":
    for seed in SEEDS:
        open_clip(seed, quick=seed == 1)
        transformers(seed)
