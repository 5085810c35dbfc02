"""Memory of a training step in PyTorch: the peer of training_memory.rs, which says what is measured.

python training_memory.py [LAYERS BATCH TOKENS]; needs torch and Linux. The model is written as one would: fused causal
attention, fused cross-entropy over all tokens, gradients set to None between updates.
"""

import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

VOCAB, D, HEADS, KV_HEADS, D_FF, UPDATES = 8192, 576, 9, 3, 1536, 6


def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) >> 10


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        k = D // HEADS
        self.norm1, self.norm2 = nn.RMSNorm(D, 1e-5), nn.RMSNorm(D, 1e-5)
        self.q, self.o = nn.Linear(D, D, bias=False), nn.Linear(D, D, bias=False)
        self.k, self.v = nn.Linear(D, KV_HEADS * k, bias=False), nn.Linear(D, KV_HEADS * k, bias=False)
        self.gate, self.up = nn.Linear(D, D_FF, bias=False), nn.Linear(D, D_FF, bias=False)
        self.down = nn.Linear(D_FF, D, bias=False)

    def forward(self, x, cos, sin):
        b, l, _ = x.shape
        h = self.norm1(x)
        q, k, v = (f(h).view(b, l, -1, D // HEADS).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, l, D))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Decoder(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, D)
        self.blocks = nn.ModuleList(Block() for _ in range(layers))
        self.norm = nn.RMSNorm(D, 1e-5)

    def forward(self, ids, cos, sin):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x) @ self.embedding.weight.T


def main():
    layers, batch, length = (int(n) for n in sys.argv[1:]) if len(sys.argv) > 1 else (8, 4, 256)
    half = D // HEADS // 2
    angles = torch.outer(torch.arange(length).float(), 100_000.0 ** (-torch.arange(half) / half))
    cos, sin = angles.cos(), angles.sin()
    before = status("VmRSS")
    model = Decoder(layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1)
    seconds = []
    for index in range(UPDATES):
        start = time.perf_counter()
        ids = ((torch.arange(batch * length) * 7919 + index) % VOCAB).view(batch, length)
        logits = model(ids, cos, sin)[:, :-1]
        loss = F.cross_entropy(logits.reshape(-1, VOCAB), ids[:, 1:].reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        del logits, loss
        seconds.append(time.perf_counter() - start)
    peak, count = status("VmHWM"), sum(p.numel() for p in model.parameters())
    print(
        f"{count} parameters, {batch} x {length} tokens: peak {peak} MiB, {peak - before} MiB over the start, "
        f"{min(seconds):.2f} s an update (torch {torch.__version__}, {torch.get_num_threads()} threads)"
    )


main()
