"""A Chinchilla-like language model around the Transformer-XL attention of `transformers` 4.35 (its last releases).

The attention, its relative shift and the sinusoids are theirs; around them stand torch's RMSNorm, erf GELU and a tied
embedding, as in the decoder family `chinchilla`.
"""

import torch
from torch import nn
from transformers.models.transfo_xl.modeling_transfo_xl import PositionalEmbedding, RelPartialLearnableMultiHeadAttn

from common import SEEDS, generator, randomise, save, version, weighted_sum, weights

VOCAB, D, HEADS, D_HEAD, D_FF, LAYERS = 13, 12, 3, 6, 20, 2


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = RelPartialLearnableMultiHeadAttn(HEADS, D, D_HEAD, dropout=0.0, pre_lnorm=True)
        self.attn.layer_norm = nn.RMSNorm(D, eps=1e-6)
        self.ff_norm = nn.RMSNorm(D, eps=1e-6)
        self.ff_up = nn.Linear(D, D_FF, bias=False)
        self.ff_down = nn.Linear(D_FF, D, bias=False)

    def forward(self, x, distances, blocked):
        x = self.attn(x, distances, attn_mask=blocked)[0]  # residual included
        return x + self.ff_down(nn.functional.gelu(self.ff_up(self.ff_norm(x))))


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, D)
        self.distances = PositionalEmbedding(D)
        self.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(D, eps=1e-6)

    def forward(self, ids):
        length = ids.shape[1]
        distances = self.distances(torch.arange(length - 1, -1, -1.0))
        blocked = torch.ones(length, length).triu(1)[:, :, None]
        x = self.embedding(ids).transpose(0, 1)  # their layout is [L, B, D]
        states = []
        for layer in self.layers:
            x = layer(x, distances, blocked)
            states.append(x.transpose(0, 1))
        return self.norm(x).transpose(0, 1) @ self.embedding.weight.T, states


def generate(seed: int) -> None:
    random = generator(seed)
    net = LanguageModel().eval()
    randomise(net, random)
    ids = torch.randint(VOCAB, (2, 9), generator=random)
    ids[0, 3], ids[1, 8] = VOCAB - 2, VOCAB - 1  # the rows that a Flamingo adds
    logits, states = net(ids)
    weighted_sum(logits).backward()
    tensors = {"in.ids": ids, "out.logits": logits, "grad.embedding": net.embedding.weight.grad}
    tensors |= {f"mid.layer{index}": state for index, state in enumerate(states)}
    tensors |= {f"grad.{name}": getattr(net.layers[0].attn, name).grad for name in ("r_r_bias", "r_w_bias")}
    reference = f"{version('transformers')} RelPartialLearnableMultiHeadAttn"
    save(f"transformer-xl-{seed}", weights(net) | tensors, "language model: chinchilla", reference)


if __name__ == "__main__":
    for seed in SEEDS:
        generate(seed)
