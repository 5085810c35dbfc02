"""The peer of `data_speed.rs`: the same shards through `webdataset`, PIL, torchvision and `tokenizers`.

    python data_speed.py FOLDER TOKENIZER.json [eval|train] [pil|tensor] [SECONDS]
    python data_speed.py make SHARD.tar FOLDER WIDTHxHEIGHT

With two worker processes of one thread each, batches of 32, and otherwise as its authors advise. `pil` resizes with PIL
and then makes a tensor; `tensor` makes an 8-bit tensor of the decoded picture and resizes that, for which torchvision
has AVX2 kernels, and normalises whole batches. A document's row is what it is in Rust: a random window of 256 tokens
with the first five images of that window. Needs torch, torchvision, webdataset, tokenizers and Pillow.

`make` writes pairs: the pictures of a shard as JPEGs of one size (quality 90, 4:2:0), four times over, with captions.
"""

import glob
import io
import itertools
import json
import os
import random
import sys
import time

import torch
import webdataset as wds
from PIL import Image, ImageOps
from tokenizers import Tokenizer
from torchvision.transforms import InterpolationMode, v2

SIZE, BATCH, WORKERS, TOKENS, IMAGES = 224, 32, 2, 256, 5
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGE = -1
PICTURES = ("jpg", "png", "webp")


def make(shard, folder, size):
    size = tuple(int(side) for side in size.split("x"))
    os.makedirs(folder, exist_ok=True)
    pictures = []
    for record in wds.WebDataset(shard, shardshuffle=False):
        data = next(record[kind] for kind in PICTURES if kind in record)
        out = io.BytesIO()
        picture = ImageOps.fit(Image.open(io.BytesIO(data)).convert("RGB"), size, Image.Resampling.BICUBIC)
        picture.save(out, "JPEG", quality=90)
        caption = json.loads(record["json"])["captions"][0] if "json" in record else record["txt"].decode()
        pictures.append((out.getvalue(), caption))
    with wds.ShardWriter(f"{folder}/%04d.tar", maxcount=len(pictures), verbose=0) as writer:
        for number, (data, caption) in enumerate(itertools.chain(*[pictures] * 4)):
            writer.write({"__key__": f"{number:06}", "jpg": data, "txt": caption})


if sys.argv[1] == "make":
    make(*sys.argv[2:])
    sys.exit()

folder, tokenizer_file = sys.argv[1:3]
mode, way = (sys.argv[3:5] + ["eval", "pil"][len(sys.argv) - 3 :])[:2]
seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 10.0

os.environ["TOKENIZERS_PARALLELISM"] = "false"
tokenizer = Tokenizer.from_file(tokenizer_file)
geometry = [v2.Resize(SIZE, InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(SIZE)]
if mode == "train":
    geometry.append(v2.RandomHorizontalFlip())
to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD, inplace=True)]
if way == "pil":
    transform = v2.Compose([*geometry, v2.ToImage(), *to_float])
    on_batch = v2.Identity()
else:
    transform = v2.Compose([v2.PILToTensor(), *geometry])
    on_batch = v2.Compose(to_float)


def picture(data):
    image = Image.open(io.BytesIO(data))
    if mode == "train":
        # Decodes at 1/2, 1/4 or 1/8 where that is still larger than what is wanted.
        image.draft("RGB", (SIZE, SIZE))
    return transform(image.convert("RGB"))


def sample(record):
    if "json" not in record:
        return [picture(record["jpg"])], tokenizer.encode(record["txt"].decode()).ids[:TOKENS]
    ids, names = [], []
    for chunk in json.loads(record["json"])["chunks"]:
        if "image" in chunk:
            ids.append(IMAGE)
            names.append(chunk["image"])
        else:
            ids.extend(tokenizer.encode(chunk["text"]).ids)
    start = random.randint(0, max(len(ids) - TOKENS, 0))
    before, window = ids[:start].count(IMAGE), ids[start : start + TOKENS]
    shown = names[before : before + window.count(IMAGE)][:IMAGES]
    return [picture(record[name]) for name in shown], window


def collate(samples):
    pictures = [picture for pictures, _ in samples for picture in pictures]
    pictures = on_batch(torch.stack(pictures)) if pictures else []
    tokens = torch.zeros(len(samples), max(len(ids) for _, ids in samples), dtype=torch.int64)
    for row, (_, ids) in zip(tokens, samples):
        row[: len(ids)] = torch.tensor(ids)
    return pictures, tokens


def start_worker(_):
    torch.set_num_threads(1)


shards = sorted(glob.glob(f"{folder}/*.tar"))
dataset = wds.WebDataset(shards, resampled=True, handler=wds.reraise_exception)
dataset = dataset.map(sample).batched(BATCH, collation_fn=collate, partial=False)
loader = wds.WebLoader(
    dataset, batch_size=None, num_workers=WORKERS, prefetch_factor=4, worker_init_fn=start_worker
)

batches = iter(loader)
for _ in range(4):
    next(batches)
images = records = 0
start = time.perf_counter()
while (took := time.perf_counter() - start) < seconds:
    pictures, tokens = next(batches)
    images += len(pictures)
    records += len(tokens)
print(f"{images / took:.0f} images/s, {records / took:.0f} records/s")
os._exit(0)
