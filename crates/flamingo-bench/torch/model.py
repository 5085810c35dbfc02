"""What Flamingo adds to a language model, and the whole, over `transformers`' Llama or nano's decoder.

As OpenFlamingo and IDEFICS have it: a gated block before some layers of the language model, in which text attends to the visual
tokens of its own image, by a mask over all of them. Other than theirs, attention is fused, and the visual tokens' keys and values
are computed once for a prompt. Sizes are those of crates/flamingo/src/config.rs as JSON.
"""

import torch
import torch.nn.functional as F
from torch import nn

import decoder

ACTS = {
    "gelu": nn.GELU(),
    "gelu-tanh": nn.GELU(approximate="tanh"),
    "relu": nn.ReLU(),
    "squared-relu": lambda x: F.relu(x).square(),
    "silu": nn.SiLU(),
}


def linear(given, made):
    return nn.Linear(given, made, bias=False)


def norm(config, width):
    kind = nn.RMSNorm if config["kind"] == "rms" else nn.LayerNorm
    return kind(width, eps=config["epsilon"])


class FeedForward(nn.Module):
    def __init__(self, width, hidden, act):
        super().__init__()
        self.up, self.down, self.act = linear(width, hidden), linear(hidden, width), ACTS[act]

    def forward(self, x):
        return self.down(self.act(self.up(x)))


class Attention(nn.Module):
    def __init__(self, d_query, d_context, heads, d_head):
        super().__init__()
        inner = heads * d_head
        self.query, self.output = linear(d_query, inner), linear(inner, d_query)
        self.key_value = linear(d_context, 2 * inner)
        self.heads = heads

    def apart(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, context):
        return tuple(self.apart(x) for x in self.key_value(context).chunk(2, -1))

    def forward(self, x, keys_values, mask=None):
        mixed = F.scaled_dot_product_attention(self.apart(self.query(x)), *keys_values, attn_mask=mask)
        return self.output(mixed.transpose(1, 2).flatten(2))


class Resampler(nn.Module):
    """`[N, P, E]` to `[N, R, E]`."""

    def __init__(self, config):
        super().__init__()
        d = config["d_model"]
        self.latents = nn.Parameter(torch.randn(config["n_latents"], d) * config["init_std"])
        self.frame = nn.Parameter(torch.randn(d) * config["init_std"])
        layer = lambda: nn.ModuleList(  # noqa: E731
            [
                norm(config["norm"], d),
                norm(config["norm"], d),
                Attention(d, d, config["n_heads"], config["d_head"]),
                nn.Sequential(norm(config["norm"], d), FeedForward(d, config["d_ff"], config["act"])),
            ]
        )
        self.layers = nn.ModuleList(layer() for _ in range(config["n_layers"]))
        self.norm = norm(config["norm"], d)

    def forward(self, features):
        features = features + self.frame
        latents = self.latents.expand(len(features), -1, -1)
        for media_norm, latents_norm, attention, feed_forward in self.layers:
            queries = latents_norm(latents)
            context = torch.cat([media_norm(features), queries], 1)
            latents = latents + attention(queries, attention.keys_values(context))
            latents = latents + feed_forward(latents)
        return self.norm(latents)


class GatedBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config["d_model"]
        self.attention_norm = norm(config["norm"], d)
        self.attention = Attention(d, config["d_media"], config["n_heads"], config["d_head"])
        self.attention_gate = nn.Parameter(torch.zeros(1))
        self.feed_forward = nn.Sequential(norm(config["norm"], d), FeedForward(d, config["d_ff"], config["act"]))
        self.feed_forward_gate = nn.Parameter(torch.zeros(1))

    def keys_values(self, visual):
        """Of visual tokens `[B, M*R, E]`."""
        return self.attention.keys_values(visual)

    def forward(self, text, media, mask=None):
        text = text + self.attention(self.attention_norm(text), media, mask) * self.attention_gate.tanh()
        return text + self.feed_forward(text) * self.feed_forward_gate.tanh()


def own_image_mask(images, each, latents, device):
    """Of `each` positions behind every image, which see the latents of theirs: `[L, M*R]`, true where one sees."""
    if images == 1:
        return None
    of_text = torch.arange(images, device=device).repeat_interleave(each)
    of_tokens = torch.arange(images, device=device).repeat_interleave(latents)
    return of_text[:, None] == of_tokens


class SeeingLayer(nn.Module):
    """A layer of the language model with a gated block before it. What it sees is set before a pass."""

    def __init__(self, block, layer):
        super().__init__()
        self.block, self.layer = block, layer
        self.media = self.mask = None

    def forward(self, hidden, *args, **kwargs):
        return self.layer(self.block(hidden, self.media, self.mask), *args, **kwargs)


class Flamingo(nn.Module):
    """A language model that sees; the encoder is not in it."""

    def __init__(self, config, device):
        super().__init__()
        self.config = config
        self.lm = decoder.language_model(config["lm"])
        layers = self.lm.model.layers
        for index in range(0, len(layers), config["xattn"]["every"]):
            layers[index] = SeeingLayer(GatedBlock(config["xattn"]), layers[index])
        self.resampler = Resampler(config["resampler"])
        self.to(device)

    def seeing(self):
        return [layer for layer in self.lm.model.layers if isinstance(layer, SeeingLayer)]

    def look(self, visual, mask=None):
        """At visual tokens `[B, M*R, E]`, from now on."""
        for layer in self.seeing():
            layer.media, layer.mask = layer.block.keys_values(visual), mask

    def narrow(self, latents):
        """To the last image of each row, for what comes behind the prompt."""
        for layer in self.seeing():
            layer.media, layer.mask = tuple(x[:, :, -latents:] for x in layer.media), None

    def freeze(self):
        """All but what Flamingo trains; the rows of new tokens are a part of the table here, as in OpenFlamingo's code."""
        self.lm.requires_grad_(False)
        for layer in self.seeing():
            layer.block.requires_grad_(True)
