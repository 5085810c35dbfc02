"""Whole tiny IDEFICS models of `transformers`, with random weights and open gates.

A fixture holds a checkpoint as people have it: the state dict under its own names (below `weights.`) and, as the file's
metadata, the `config.json`. Beside it: what each part gives, logits, and a greedy continuation.

Seed 0 is as the released models (scalar gates, normalised queries and keys in the gated blocks); seed 1 has all that
their configuration allows besides (a gate for every channel, normalised queries and keys in the resampler).
"""

import json

import torch
from transformers import IdeficsConfig, IdeficsForVisionText2Text

from common import SEEDS, generator, randomise, save, version

VOCAB, ADDITIONAL, IMAGE = 20, 3, 21  # ids 20, 21, 22: <fake_token_around_image>, <image>, <end_of_utterance>
D, D_VISION, SIZE, PATCH = 16, 12, 8, 4
NEW_TOKENS = 20


def config(seed: int) -> IdeficsConfig:
    released = seed == 0
    return IdeficsConfig(
        vocab_size=VOCAB,
        additional_vocab_size=ADDITIONAL,
        hidden_size=D,
        intermediate_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        cross_layer_interval=2,
        alpha_type="float" if released else "vector",
        alpha_initializer="ones",
        qk_layer_norms=released,
        use_resampler=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
        vision_config={
            "embed_dim": D_VISION,
            "image_size": SIZE,
            "patch_size": PATCH,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 20,
            "hidden_act": "gelu",
        },
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": 3,
            "resampler_depth": 2,
            "resampler_n_heads": 2,
            "resampler_head_dim": 4,
            "qk_layer_norms_perceiver": not released,
        },
    )


def image_mask(ids: torch.Tensor, images: int) -> torch.Tensor:
    """One-hot of the last image before each position, as the processor makes it; no row before the first image."""
    index = (ids == IMAGE).cumsum(-1)
    return torch.stack([index == image + 1 for image in range(images)], dim=-1).long()


def model(seed: int) -> None:
    random = generator(seed)
    torch.manual_seed(seed)
    net = IdeficsForVisionText2Text(config(seed)).eval()
    randomise(net, random)
    for name, parameter in net.named_parameters():
        if "alpha" in name:  # away from 0 and from 1, with either sign
            parameter.data = 0.6 + 0.3 * torch.randn(parameter.shape, generator=random)

    ids = torch.tensor([[1, 5, 20, 21, 20, 7, 8, 20, 21, 20, 3], [1, 20, 21, 20, 4, 4, 9, 11, 2, 6, 12]])
    pixels = torch.randn(2, 2, 3, SIZE, SIZE, generator=random)
    tensors = {"in.ids": ids, "in.pixels": pixels}
    inputs = {"pixel_values": pixels, "image_attention_mask": image_mask(ids, 2)}
    inputs["attention_mask"] = torch.ones_like(ids)

    def keep(module, name, pick):
        hook = lambda _module, _inputs, output: tensors.update({f"mid.{name}": pick(output)})
        return module.register_forward_hook(hook)

    hooks = [
        keep(net.model.vision_model, "features", lambda out: out.last_hidden_state),
        keep(net.model.perceiver_resampler, "latents", lambda out: out),
    ]
    for index, block in enumerate(net.model.gated_cross_attn_layers):
        hooks.append(keep(block, f"block.{index}", lambda out: out[0] if isinstance(out, tuple) else out))
    with torch.no_grad():
        tensors["out.logits"] = net(input_ids=ids, **inputs, use_cache=False).logits
        for hook in hooks:
            hook.remove()
        text, row = ids[:1], {"pixel_values": pixels[:1]}
        for _ in range(NEW_TOKENS):
            row["image_attention_mask"] = image_mask(text, 2)
            row["attention_mask"] = torch.ones_like(text)
            scores = net(input_ids=text, **row, use_cache=False).logits[:, -1, :VOCAB]
            text = torch.cat([text, scores.argmax(-1, keepdim=True)], dim=1)
        tensors["out.greedy"] = text
    tensors |= {f"weights.{key}": value for key, value in net.state_dict().items()}

    metadata = {"config.json": json.dumps(net.config.to_dict())}
    reference = f"{version('transformers')} IdeficsForVisionText2Text"
    save(f"idefics-{seed}", tensors, "whole model: IDEFICS", reference, **metadata)


if __name__ == "__main__":
    for seed in SEEDS:
        model(seed)
