"""One update of the tiny OpenFlamingos of `open_flamingo_models.py`, from loss to weights, by torch.

Two datasets of one sequence each, weighted 1 and 0.2; token weights of 0, 0.5 and 1; the gradient of their sum clipped to
norm 1; AdamW with a decay of 0.1 that spares the resampler. Trained are resampler, gated blocks, and of the embedding the
rows of the new tokens: the gradient of the others is dropped, as `open_flamingo` does with `--freeze_lm_embeddings`.

The weights are those of the fixture `open-flamingo-SEED`, and so are ids and pixels. Of each trained tensor only numbers
that miss nothing are kept (whole they would take a quarter of a megabyte): its norm, and its products with eight fixed
directions, divided by the norm. An error of a tensor, as a fraction of its norm, stays under a bound in all eight only
if it is about that small, or at right angles to all of them.

The first step of AdamW moves every weight by nearly the learning rate, whatever its gradient: with the usual eps of 1e-8
a gradient of rounding errors decides a direction. Here eps is 1e-5, so that it does not.
"""

import torch
import torch.nn.functional as F

from common import SEEDS, generator, save, version
from open_flamingo_models import EOC, IMAGE, SIZE, TOKENS, network

LAMBDAS = (1.0, 0.2)
LEARNING_RATE, DECAY, CLIP = 1e-2, 0.1, 1.0
DIRECTIONS = 8


def trained(net) -> dict[str, torch.nn.Parameter]:
    """Resampler and gated blocks."""
    found = {f"perceiver.{name}": value for name, value in net.perceiver.named_parameters()}
    for index, block in enumerate(filter(None, net.lang_encoder.gated_cross_attn_layers)):
        found |= {f"xattn.{index}.{name}": value for name, value in block.named_parameters()}
    return found


def parts(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Keys and values apart."""
    apart = {}
    for name, value in tensors.items():
        if "to_kv" in name:
            apart |= zip((name.replace("to_kv", "to_k"), name.replace("to_kv", "to_v")), value.chunk(2))
        else:
            apart[name] = value
    return apart


def seen_from_all_sides(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """A row for each tensor, in the order of their names: the norm, and what is left of the directions."""
    rows = []
    for _, value in sorted(tensors.items()):
        flat = value.detach().flatten().double()
        angles = torch.outer(torch.arange(1, DIRECTIONS + 1), torch.arange(1, flat.numel() + 1))
        norm = flat.norm()
        rows.append(torch.cat([norm[None], angles.double().cos() @ flat / norm]))
    return torch.stack(rows)


def step(seed: int) -> None:
    random = generator(seed)
    net, _, _ = network(seed, random)
    ids = torch.tensor([[2, 5, IMAGE, 7, 8, 1, EOC, IMAGE, 3, 4], [IMAGE, 3, 4, 4, 9, 11, 2, 6, 12, EOC]])
    pixels = torch.randn(2, 2, 1, 3, SIZE, SIZE, generator=random)
    token_weights = torch.where(ids == IMAGE, 0.0, torch.where(ids == EOC, 0.5, 1.0))

    learning = trained(net)
    table = net.lang_encoder.get_input_embeddings().weight
    for value in (*learning.values(), table):
        value.requires_grad_(True)
    logits = net(pixels, ids, torch.ones_like(ids)).logits
    nll = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    counted = token_weights[:, 1:]
    losses = (nll * counted).sum(1) / counted.sum(1)
    (losses * torch.tensor(LAMBDAS)).sum().backward()

    rows = torch.nn.Parameter(table.detach()[TOKENS:].clone())
    rows.grad = table.grad[TOKENS:].clone()
    learning["new_rows"] = rows
    tensors = {"in.weights": token_weights, "out.losses": losses}
    tensors["grad.trained"] = seen_from_all_sides(parts({name: value.grad for name, value in learning.items()}))
    norm = torch.nn.utils.clip_grad_norm_(learning.values(), CLIP)
    assert norm > CLIP, "else clipping is not tested"
    tensors["out.norm"] = norm[None]
    spared = [value for name, value in learning.items() if name.startswith("perceiver.")]
    decayed = [value for name, value in learning.items() if not name.startswith("perceiver.")]
    groups = [{"params": spared, "weight_decay": 0.0}, {"params": decayed, "weight_decay": DECAY}]
    torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), eps=1e-5).step()
    tensors["out.trained"] = seen_from_all_sides(parts(learning))

    part = f"training: one update of OpenFlamingo with {('MPT', 'GPT-NeoX')[seed]}"
    reference = f"{version('open_flamingo')} Flamingo, {version('torch')} AdamW"
    save(f"training-step-{seed}", tensors, part, reference, names=" ".join(sorted(parts(learning))))


if __name__ == "__main__":
    for seed in SEEDS:
        step(seed)
