"""Encoders, prompts, new tokens, updates, data, few-shot scoring."""

import glob
import os

import torch
import torch.nn.functional as F

import decoder
import model
from operations import maybe_compiled, normal


def ids(batch, length, device):
    return (torch.arange(batch * length, device=device) * 7919 % 1000 + 1).view(batch, length)


# Encoders.


def open_clip(case, task):
    import open_clip

    encoder = clip(open_clip, case["name"]).to(task["device"])
    pixels = normal(case["images"], 3, case["size"], case["size"], device=task["device"])
    encoder = maybe_compiled(encoder, task)
    return (lambda: encoder(pixels)), 1


def clip(open_clip, name):
    """The image tower, which also gives its positions."""
    visual = open_clip.create_model(name, pretrained=None).visual.eval()
    visual.output_tokens = True
    return visual


def timm_net(case, task):
    import timm

    net = timm.create_model(case["name"]).eval().to(task["device"])
    return images(net, case, task)


def images(net, case, task):
    pixels = normal(case["images"], 3, case["size"], case["size"], device=task["device"])
    forward = maybe_compiled(net.forward_features, task)
    return (lambda: forward(pixels)), 1


def nfnet(case, task):
    return images(nano_net(case["config"]).to(task["device"]), case, task)


def nano_net(config):
    from timm.models.nfnet import NfCfg, NormFreeNet

    net = NormFreeNet(
        NfCfg(
            depths=tuple(config["depths"]),
            channels=tuple(config["widths"]),
            stem_type="deep_quad",
            stem_chs=config["stem_width"],
            group_size=None,
            bottle_ratio=0.5,
            extra_conv=True,
            gamma_in_act=True,
            same_padding=True,
            skipinit=True,
            num_features=config["final_width"],
            act_layer=config["activation"],
            attn_layer="se",
            attn_kwargs=dict(rd_ratio=0.5),
        ),
        num_classes=0,
    ).eval()
    # timm has no block that is narrower than a group, so groups are made where there are several.
    for stage, width in zip(net.stages, config["widths"]):
        inner = width // 2
        groups = inner // config["group_size"]
        for block in stage if groups > 1 else []:
            for name in ("conv2", "conv2b"):
                conv = getattr(block, name)
                setattr(block, name, type(conv)(inner, inner, 3, stride=conv.stride[0], groups=groups))
    # A Flamingo reads the last stage.
    net.final_conv = torch.nn.Identity()
    net.final_act = torch.nn.Identity()
    return net


# Prompts.


def llama_prefill(case, task):
    lm = decoder.llama(case["lm"]).to(task["device"])
    tokens = ids(1, case["len"], task["device"])
    forward = maybe_compiled(lm, task)
    return (lambda: forward(tokens, past_key_values=decoder.cache(), use_cache=True, logits_to_keep=1)), 1


def visual_tokens(config, images, device):
    return normal(1, images * config["resampler"]["n_latents"], config["resampler"]["d_model"], device=device)


def prefill(case, task):
    config, device = case["model"], task["device"]
    images, each = case["images"], case["each"]
    flamingo = model.Flamingo(config, device).eval()
    mask = model.own_image_mask(images, each, config["resampler"]["n_latents"], device)
    flamingo.look(visual_tokens(config, images, device), mask)
    tokens = ids(1, images * each, device)
    forward = maybe_compiled(flamingo.lm, task)
    return (lambda: forward(tokens, past_key_values=decoder.cache(), use_cache=True, logits_to_keep=1)), 1


# New tokens.


def go_on(lm, past, new, task):
    # What is compiled is compiled for shapes: a cache that grows would be compiled again for every token.
    fixed = task["compile"] and hasattr(lm, "config")
    cache = decoder.fixed_cache(lm, past + new) if fixed else decoder.cache()
    lm(ids(1, past, task["device"]), past_key_values=cache, use_cache=True, logits_to_keep=1)
    forward = maybe_compiled(lm, task)

    def call():
        if not fixed:
            cache.crop(past)
        token = 5
        for place in range(past, past + new):
            tokens = torch.tensor([[token]], device=task["device"])
            # What a fixed cache has behind this place is of the repetition before, and masked.
            at = {"cache_position": torch.tensor([place], device=task["device"])} if fixed else {}
            token = forward(tokens, past_key_values=cache, use_cache=True, **at).logits[0, -1].argmax().item()

    return call, new


def llama_decode(case, task):
    return go_on(decoder.llama(case["lm"]).to(task["device"]), case["past"], case["new"], task)


def decode(case, task):
    flamingo = model.Flamingo(case["model"], task["device"]).eval()
    flamingo.look(visual_tokens(case["model"], 1, task["device"]))
    return go_on(flamingo.lm, case["past"], case["new"], task)


# Updates.


def train(case, task):
    config, device = case["model"], task["device"]
    batch, length = case["batch"], case["len"]
    flamingo = model.Flamingo(config, device)
    flamingo.freeze()
    see = encoder(config, device)
    trained = [p for p in flamingo.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.1, fused=True)
    vocab, size = config["lm"]["vocab"], config["preprocess"]["size"]
    latents = config["resampler"]["n_latents"]
    step = [0]

    def losses(tokens, features):
        flamingo.look(flamingo.resampler(features).view(batch, latents, -1))
        logits = flamingo.lm(tokens).logits[:, :-1]
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))

    losses = maybe_compiled(losses, task)

    def call():
        tokens = (torch.arange(batch * length, device=device) * 7919 + step[0]) % vocab
        tokens = tokens.view(batch, length)
        tokens[:, 0] = vocab
        pixels = ((torch.arange(batch * 3 * size * size, device=device) * 31 + step[0]) % 255) / 127.5 - 1
        step[0] += 1
        with torch.no_grad():
            features = see(pixels.view(batch, 3, size, size))
        loss = losses(tokens, features)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return call, 1


train.gradients = True


def encoder(config, device):
    """Pixels to features `[N, P, E]`."""
    vision = config["vision"]
    if vision["kind"] == "nfnet":
        net = nano_net(vision).to(device)
        return lambda pixels: net.forward_features(pixels).flatten(2).transpose(1, 2)
    import open_clip

    visual = clip(open_clip, "ViT-B-32").to(device)
    return lambda pixels: visual(pixels)[1]


# Data.

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def data(case, task):
    """webdataset, PIL, torchvision and tokenizers, with as many worker processes as threads."""
    import webdataset as wds
    from tokenizers import Tokenizer
    from torchvision.transforms import InterpolationMode, v2

    size = case["size"]
    tokenizer = Tokenizer.from_file(os.path.join(task["assets"], "tokenizer.json"))
    geometry = [v2.Resize(size, InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(size)]
    to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD, inplace=True)]
    if case["training"]:
        # 8-bit tensors, for which torchvision resizes with vector instructions.
        geometry = [v2.PILToTensor(), *geometry, v2.RandomHorizontalFlip()]
    else:
        geometry = [*geometry, v2.PILToTensor()]
    transform, on_batch = v2.Compose(geometry), v2.Compose(to_float)
    shards = sorted(glob.glob(os.path.join(task["assets"], "shards", "*.tar")))
    dataset = wds.WebDataset(shards, resampled=True, shardshuffle=False)
    dataset = dataset.map(Sample(transform, tokenizer, size, case["training"]))
    dataset = dataset.batched(case["batch"], collation_fn=Collate(on_batch), partial=False)
    loader = wds.WebLoader(
        dataset, batch_size=None, num_workers=task["threads"], prefetch_factor=2, worker_init_fn=one_thread
    )
    batches = iter(loader)

    def call():
        for _ in range(case["batches"]):
            next(batches)

    return call, case["batch"] * case["batches"]


def one_thread(_):
    torch.set_num_threads(1)


class Sample:
    def __init__(self, transform, tokenizer, size, training):
        self.transform, self.tokenizer, self.size, self.training = transform, tokenizer, size, training

    def __call__(self, record):
        return self.transform(picture(record["jpg"], self.size, self.training)), self.tokenizer.encode(record["txt"].decode()).ids


def picture(data, size, training=False):
    import io

    from PIL import Image

    image = Image.open(io.BytesIO(data))
    if training:
        # Decodes at 1/2, 1/4 or 1/8 where that is still larger than what is wanted.
        image.draft("RGB", (size, size))
    return image.convert("RGB")


class Collate:
    def __init__(self, on_batch):
        self.on_batch = on_batch

    def __call__(self, samples):
        tokens = torch.zeros(len(samples), max(len(ids) for _, ids in samples), dtype=torch.int64)
        for row, (_, ids) in zip(tokens, samples):
            row[: len(ids)] = torch.tensor(ids)
        return self.on_batch(torch.stack([picture for picture, _ in samples])), tokens


# Few-shot scoring.


def score(case, task):
    """As OpenFlamingo ranks classes: the prompt is read once, and each candidate behind its keys and values."""
    from torchvision.transforms import InterpolationMode, v2

    config, device = case["model"], task["device"]
    images, each, size = case["images"], case["each"], config["preprocess"]["size"]
    flamingo = model.Flamingo(config, device).eval()
    see = encoder(config, device)
    latents = config["resampler"]["n_latents"]
    files = [os.path.join(task["assets"], "pictures", f"{number:02}.jpg") for number in range(images)]
    pictures = [open(file, "rb").read() for file in files]
    transform = v2.Compose(
        [
            v2.Resize(size, InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(size),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD, inplace=True),
        ]
    )
    tokens = ids(1, images * each, device)
    candidates = [
        torch.tensor([[100 + index * 17 + token * 5 for token in range(case["len"])]], device=device)
        for index in range(case["candidates"])
    ]
    mask = model.own_image_mask(images, each, latents, device)
    lm = maybe_compiled(flamingo.lm, task)

    def call():
        pixels = torch.stack([transform(picture(data, size)) for data in pictures]).to(device)
        visual = flamingo.resampler(see(pixels))
        flamingo.look(visual.view(1, images * latents, -1), mask)
        cache = decoder.cache()
        first = lm(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1].log_softmax(-1)
        flamingo.narrow(latents)
        scores = []
        for candidate in candidates:
            logits = lm(candidate[:, :-1], past_key_values=cache, use_cache=True).logits[0].log_softmax(-1)
            rest = logits.gather(1, candidate[0, 1:, None]).sum()
            scores.append(first[candidate[0, 0]] + rest)
            cache.crop(images * each)
        return torch.stack(scores).tolist()

    return call, 1


KINDS = {
    "open-clip": open_clip,
    "timm": timm_net,
    "nfnet": nfnet,
    "llama-prefill": llama_prefill,
    "prefill": prefill,
    "llama-decode": llama_decode,
    "decode": decode,
    "train": train,
    "data": data,
    "score": score,
}
