"""Single operations, and the machine's ceilings."""

import torch
import torch.nn.functional as F

import model


def maybe_compiled(function, task):
    """What is called again and again; compiled if that was asked for."""
    return torch.compile(function) if task["compile"] else function


def ready(function, inputs, task):
    function = maybe_compiled(function, task)
    return (lambda: function(*inputs)), 1


def normal(*shape, device):
    return torch.randn(*shape, device=device)


def gemm(case, task):
    a, b = (normal(*shape, device=task["device"]) for shape in [(case["m"], case["k"]), (case["k"], case["n"])])
    return ready(torch.matmul, (a, b), task)


def head(case, task):
    x, table = (normal(rows, case["d"], device=task["device"]) for rows in (case["rows"], case["vocab"]))
    return ready(F.linear, (x, table), task)


def read(case, task):
    numbers = torch.ones(case["numbers"], device=task["device"])
    return ready(torch.sum, (numbers,), task)


def attention(case, task):
    shape = case["batch"], case["heads"]
    query = normal(*shape, case["len"], 64, device=task["device"])
    key, value = (normal(*shape, case["keys"], 64, device=task["device"]) for _ in range(2))
    mix = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=case["causal"])  # noqa: E731
    return ready(mix, (query, key, value), task)


ELEMENTWISE = {
    "add": lambda x, y: x + y,
    "softmax": lambda x, _: torch.softmax(x, -1),
    "rms-norm": lambda x, y: F.rms_norm(x, x.shape[-1:], y[0], 1e-5),
    "layer-norm": lambda x, y: F.layer_norm(x, x.shape[-1:], y[0], y[1], 1e-5),
    "silu-mul": lambda x, y: F.silu(x) * y,
    "gelu": lambda x, _: F.gelu(x),
    "swap-dims": lambda x, _: x.transpose(1, 2).contiguous(),
}


def elementwise(case, task):
    x, y = (normal(*case["shape"], device=task["device"]) for _ in range(2))
    return ready(ELEMENTWISE[case["op"]], (x, y), task)


def embedding(case, task):
    table = normal(case["vocab"], case["d"], device=task["device"])
    ids = (torch.arange(case["rows"], device=task["device"]) * 7919 % 1000 + 1)[None]
    return ready(lambda ids, table: F.embedding(ids, table), (ids, table), task)


def conv(case, task):
    kernel, groups, side = case["kernel"], case["groups"], case["side"]
    weight = normal(case["to"], case["from"] // groups, kernel, kernel, device=task["device"])
    x = normal(1, case["from"], side, side, device=task["device"])
    return ready(lambda x, w: F.conv2d(x, w, padding=kernel // 2, groups=groups), (x, weight), task)


def loss(case, task):
    table = normal(case["vocab"], case["d"], device=task["device"])
    hidden = normal(case["tokens"], case["d"], device=task["device"]).requires_grad_()
    targets = torch.arange(case["tokens"], device=task["device"]) * 7919 % case["vocab"]
    forward = maybe_compiled(lambda hidden: F.cross_entropy(hidden @ table.T, targets), task)

    def call():
        hidden.grad = None
        forward(hidden).backward()

    return call, 1


loss.gradients = True


def adamw(case, task):
    weight = torch.nn.Parameter(normal(case["to"], case["from"], device=task["device"]))
    weight.grad = torch.randn_like(weight)
    optimizer = torch.optim.AdamW([weight], lr=1e-4, weight_decay=0.1, fused=True)
    return maybe_compiled(optimizer.step, task), 1


adamw.gradients = True


def resampler(case, task):
    config = case["model"]
    resampler = model.Resampler(config["resampler"]).to(task["device"]).eval()
    features = normal(case["images"], positions(config["vision"]), config["resampler"]["d_model"], device=task["device"])
    return ready(resampler, (features,), task)


def positions(vision):
    """Of a vision transformer's image, without the class token."""
    return (vision["image_size"] // vision["patch_size"]) ** 2


def gated_block(case, task):
    config = case["model"]
    block = model.GatedBlock(config["xattn"]).to(task["device"]).eval()
    images, each = case["images"], case["each"]
    visual = normal(1, images * config["resampler"]["n_latents"], config["xattn"]["d_media"], device=task["device"])
    media = block.keys_values(visual)
    mask = model.own_image_mask(images, each, config["resampler"]["n_latents"], task["device"])
    text = normal(1, images * each, config["xattn"]["d_model"], device=task["device"])
    return ready(lambda text: block(text, media, mask), (text,), task)


KINDS = {
    "gemm": gemm,
    "head": head,
    "read": read,
    "attention": attention,
    "elementwise": elementwise,
    "embedding": embedding,
    "conv": conv,
    "loss": loss,
    "adamw": adamw,
    "resampler": resampler,
    "gated-block": gated_block,
}
