"""Tiny language models of `transformers`, one for each family of `flamingo-lm`, with random weights.

A fixture holds a checkpoint as people have it: the state dict under its own names (below `weights.`) and, as the file's
metadata, the `config.json`. Beside it: logits, logits of a left-padded batch, and a greedy continuation.

`mosaic_gpt` (MPT-1B) is not in `transformers`. Its program is llm-foundry's; here it is MPT of `transformers` with what
llm-foundry's definition has more: a LayerNorm over the full width of queries and of keys, by torch's own module.
"""

import json

import torch
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MptConfig,
    MptForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)

from common import SEEDS, generator, randomise, save, version

VOCAB, D, HEADS, LAYERS, LENGTH = 19, 16, 4, 2, 7
LENGTHS = (4, LENGTH)  # of the rows of the padded batch


class WithQkNorm(nn.Module):
    """A `Wqkv` whose first two thirds are normalised: what MPT-1B has between projection and heads."""

    def __init__(self, projection: nn.Linear):
        super().__init__()
        self.projection = projection
        self.q_ln = nn.LayerNorm(D)
        self.k_ln = nn.LayerNorm(D)
        self.q_ln.bias = self.k_ln.bias = None

    def forward(self, x):
        q, k, v = self.projection(x).chunk(3, dim=2)
        return torch.cat([self.q_ln(q), self.k_ln(k), v], dim=2)


def llama(**kwargs):
    sizes = {
        "vocab_size": VOCAB,
        "hidden_size": D,
        "intermediate_size": 24,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": 32,
    }
    return LlamaForCausalLM(LlamaConfig(**sizes | kwargs))


def mpt():
    config = MptConfig(vocab_size=VOCAB, d_model=D, n_heads=HEADS, n_layers=LAYERS, max_seq_len=32)
    return MptForCausalLM(config)


def mosaic_gpt():
    net = mpt()
    for block in net.transformer.blocks:
        block.attn.Wqkv = WithQkNorm(block.attn.Wqkv)
    return net


def gpt_neox(**kwargs):
    config = GPTNeoXConfig(
        vocab_size=VOCAB,
        hidden_size=D,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=40,
        max_position_embeddings=32,
        **kwargs,
    )
    return GPTNeoXForCausalLM(config)


def opt():
    config = OPTConfig(
        vocab_size=VOCAB,
        hidden_size=D,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        ffn_dim=40,
        max_position_embeddings=32,
        word_embed_proj_dim=D,
    )
    return OPTForCausalLM(config)


def gpt2():
    config = GPT2Config(vocab_size=VOCAB, n_embd=D, n_layer=LAYERS, n_head=HEADS, n_positions=32)
    return GPT2LMHeadModel(config)


# What llm-foundry's MosaicGPT writes into config.json, as far as it decides anything.
MOSAIC_CONFIG = {
    "architectures": ["MosaicGPT"],
    "model_type": "mosaic_gpt",
    "vocab_size": VOCAB,
    "d_model": D,
    "n_heads": HEADS,
    "n_layers": LAYERS,
    "mlp_ratio": 4,
    "max_seq_len": 32,
    "alibi": True,
    "alibi_bias_max": 8,
    "attn_qk_ln": True,
    "attn_clip_qkv": None,
    "logit_scale": None,
    "no_bias": True,
    "prefix_lm": False,
    "softmax_scale": None,
}
MOSAIC_NAMES = {
    "norm_1.": "ln_1.",
    "norm_2.": "ln_2.",
    "norm_f.": "ln_f.",
    "ffn.up_proj.": "mlp.mlp_up.",
    "ffn.down_proj.": "mlp.mlp_down.",
    "Wqkv.projection.": "Wqkv.",
    "Wqkv.q_ln.": "q_ln.",
    "Wqkv.k_ln.": "k_ln.",
}

FAMILIES = {
    "llama": lambda: llama(num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=100000.0, tie_word_embeddings=True),
    "llama-untied": lambda: llama(attention_bias=True),
    "llama-linear": lambda: llama(num_hidden_layers=1, rope_scaling={"type": "linear", "factor": 4.0}),
    "mpt": mpt,
    "mosaic-gpt": mosaic_gpt,
    "pythia": lambda: gpt_neox(rotary_pct=0.25, use_parallel_residual=True),
    "redpajama": lambda: gpt_neox(rotary_pct=1.0, use_parallel_residual=False),
    "opt": opt,
    "gpt2": gpt2,
}


def checkpoint(name: str, net: nn.Module) -> tuple[dict, dict[str, torch.Tensor]]:
    """The model's config.json and state dict, as it is published."""
    config = json.loads(net.config.to_json_string()) | {"architectures": [type(net).__name__]}
    tensors = dict(net.named_parameters())  # tied tensors once
    if name == "mosaic-gpt":
        config = MOSAIC_CONFIG
        for theirs, published in MOSAIC_NAMES.items():
            tensors = {key.replace(theirs, published): value for key, value in tensors.items()}
    return config, tensors


@torch.no_grad()
def generate(name: str, build, seed: int) -> None:
    random = generator(seed)
    torch.manual_seed(seed)
    net = build().eval()
    randomise(net, random)
    for module in net.modules():  # their norms' names do not all tell what they are
        if "Norm" in type(module).__name__ and hasattr(module, "weight"):
            module.weight.copy_(0.8 + 0.2 * torch.randn(module.weight.shape, generator=random))
    ids = torch.randint(VOCAB, (2, LENGTH), generator=random)
    logits = net(ids).logits

    mask = torch.tensor([[0] * (LENGTH - length) + [1] * length for length in LENGTHS])
    padded = {"input_ids": ids, "attention_mask": mask}
    if name == "gpt2":  # what its generate() does; OPT finds its positions from the mask itself
        padded["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    padded_logits = net(**padded).logits

    continued = ids[:1]
    for _ in range(20):
        continued = torch.cat([continued, net(continued).logits[:, -1:].argmax(2)], dim=1)

    config, weights = checkpoint(name, net)
    tensors = {f"weights.{key}": value for key, value in weights.items()}
    tensors |= {
        "in.ids": ids,
        "in.lengths": torch.tensor(LENGTHS),
        "out.logits": logits,
        "out.padded": padded_logits,
        "out.greedy": continued,
    }
    reference = f"{version('transformers')} {type(net).__name__}"
    if name == "mosaic-gpt":
        reference += ", torch LayerNorm on queries and keys"
    save(f"lm-{name}-{seed}", tensors, f"language model: {name}", reference, **{"config.json": json.dumps(config)})


if __name__ == "__main__":
    for family, build in FAMILIES.items():
        for seed in SEEDS:
            generate(family, build, seed)
