"""Language models: `transformers`' Llama, and nano's, which has no relative there.

Nano's is Chinchilla's architecture: RMS norms, squared ReLU, and Transformer-XL's relative positions, whose term is added to the scores
within fused attention. Both are called alike.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import DynamicCache, StaticCache


def language_model(config):
    return Relative(config) if config["positions"]["kind"] == "transformer-xl" else llama(config)


def llama(config):
    theta = config["positions"]["theta"]
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config["vocab"] + config["new_tokens"],
            hidden_size=config["d_model"],
            intermediate_size=config["d_ff"],
            num_hidden_layers=config["n_layers"],
            num_attention_heads=config["n_heads"],
            num_key_value_heads=config["n_kv_heads"] or config["n_heads"],
            rms_norm_eps=config["norm"]["epsilon"],
            rope_theta=theta,
            max_position_embeddings=config["max_len"],
            tie_word_embeddings=True,
            attn_implementation="sdpa",
        )
    ).eval()


def cache():
    return DynamicCache()


def fixed_cache(lm, length):
    """For so many tokens; unlike the other it cannot be cropped, and needs to be told where a token is."""
    return StaticCache(config=lm.config, max_cache_len=length)


class RelativeLayer(nn.Module):
    def __init__(self, config, index):
        super().__init__()
        d, self.heads, self.index = config["d_model"], config["n_heads"], index
        inner, eps = config["n_heads"] * config["d_head"], config["norm"]["epsilon"]
        self.norm1, self.norm2 = nn.RMSNorm(d, eps), nn.RMSNorm(d, eps)
        self.qkv = nn.Linear(d, 3 * inner, bias=False)
        self.position = nn.Linear(d, inner, bias=False)
        self.u, self.v = (nn.Parameter(torch.zeros(config["n_heads"], 1, config["d_head"])) for _ in range(2))
        self.output = nn.Linear(inner, d, bias=False)
        self.up, self.down = nn.Linear(d, config["d_ff"], bias=False), nn.Linear(config["d_ff"], d, bias=False)

    def forward(self, x, distances, past_key_values=None):
        query, key, value = (
            y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.index)
        length, keys, width = query.shape[2], key.shape[2], query.shape[3]
        by_distance = self.position(distances).unflatten(-1, (self.heads, -1)).transpose(0, 1)
        bias = shift((query + self.v) @ by_distance.transpose(-1, -2)) * width**-0.5
        if length > 1:
            later = torch.ones(length, keys, dtype=torch.bool, device=x.device).triu(keys - length + 1)
            bias = bias.masked_fill(later, float("-inf"))
        mixed = F.scaled_dot_product_attention(query + self.u, key, value, attn_mask=bias)
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.relu(self.up(self.norm2(x))).square())


def shift(scores):
    """Column c of `[B, H, L, S]` holds distance S-1-c; behind this, column j holds the distance to key j."""
    batch, heads, length, keys = scores.shape
    if length == 1:
        return scores
    padded = F.pad(scores, (1, 0)).view(batch, heads, keys + 1, length)
    return padded[:, :, 1:].reshape(batch, heads, length, keys)


class RelativeModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config["vocab"] + config["new_tokens"], config["d_model"])
        self.layers = nn.ModuleList(RelativeLayer(config, index) for index in range(config["n_layers"]))
        self.norm = nn.RMSNorm(config["d_model"], config["norm"]["epsilon"])
        half = config["d_model"] // 2
        angles = torch.arange(config["max_len"]).flip(0)[:, None] / 10_000 ** (torch.arange(half) / half)
        self.register_buffer("distances", torch.cat([angles.sin(), angles.cos()], -1))


class Output:
    def __init__(self, logits):
        self.logits = logits


class Relative(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.model = RelativeModel(config)

    def forward(self, input_ids, past_key_values=None, use_cache=False, logits_to_keep=0):
        past = past_key_values.get_seq_length() if past_key_values is not None else 0
        x = self.model.embed_tokens(input_ids)
        distances = self.model.distances[-(past + x.shape[1]) :]
        for layer in self.model.layers:
            x = layer(x, distances, past_key_values if use_cache else None)
        x = self.model.norm(x)[:, -logits_to_keep:]
        return Output(x @ self.model.embed_tokens.weight.T)
