"""OpenFlamingo's evaluation of a tiny model, from official files to scores: `evaluate.py` as it stands.

    python evaluation.py CHECKOUT

CHECKOUT is a checkout of open_flamingo 2.0.1: the package on the registry lacks `eval/models`, which writes the prompts and
asks the model. Java is needed for the captions' tokens.

`evaluation.safetensors` holds the model, as the other fixtures of OpenFlamingo do; in its metadata the files of four tiny
data sets in the official formats (`files`; `classes` are ImageNet's names), and what `evaluate.py` made of them (`runs`): for captions, questions and two
kinds of classification, with 0 and 4 examples, every prompt, which examples it has, what the model said, what was made of
that, and the score.

The model is trained a little on such prompts, so that it answers in words and its scores are not all 0. What is changed of
the program: queries come alone, because beside longer ones they would be padded, and classification attends to padding; an
image token cannot be generated; pictures of ImageNet get an empty text, without which 2.0.1 stops, and choose among its
first sixty classes; METEOR and SPICE, which need more programs and are not what is reported, are left out.
"""

import contextlib
import io
import json
import os
import random
import sys
import tempfile
from argparse import Namespace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import open_clip
import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from open_flamingo.src import flamingo_lm
from open_flamingo.src.flamingo import Flamingo
from open_flamingo.src.helpers import GatedCrossAttentionBlock, PerceiverResampler
from open_flamingo.src.utils import extend_instance
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import MptConfig, MptForCausalLM, PreTrainedTokenizerFast

from common import generator, randomise, save_as_is, version

SIZE, PATCH, D, D_VISION, HEADS = 8, 4, 16, 8, 1
PICTURE = (12, 10)  # width and height: it is resized and cut
SHOTS, SEED, SUPPORT, QUERIES = (0, 4), 42, 10, 6
UPDATES = 1500
CLASSES = 60  # of a thousand, the first

COLOURS, ANIMALS, PLACES = ("red", "blue", "green"), ("cat", "dog", "bird"), ("mat", "roof", "tree")
flamingo_lm.GatedCrossAttentionBlock = partial(GatedCrossAttentionBlock, heads=HEADS)


def compact(value) -> str:
    return json.dumps(value, separators=(",", ":"))


def picture(index: int) -> Image.Image:
    """Numbers that are the same in any language."""
    width, height = PICTURE
    values = [(i * i + 3) * (2 * index + 5) % 257 % 256 for i in range(3 * width * height)]
    return Image.fromarray(np.array(values, np.uint8).reshape(height, width, 3))


def colour(index: int) -> str:
    return COLOURS[index % 3]


def animal(index: int) -> str:
    return ANIMALS[index // 3 % 3]


def caption(index: int, draw: random.Random) -> str:
    return f"a {colour(index)} {animal(index)} on a {draw.choice(PLACES)}"


def coco(draw: random.Random) -> dict[str, str]:
    images = []
    for index in range(SUPPORT + QUERIES):
        train = index < SUPPORT
        place = "train2014" if train or index % 2 else "val2014"
        raw = [caption(index, draw) for _ in range(3)]
        images.append(
            {
                "filepath": place,
                "sentids": [3 * index + number for number in range(3)],
                "filename": f"COCO_{place}_{index:012d}.jpg",
                "imgid": index,
                "split": "train" if train else "test",
                "sentences": [
                    {"tokens": text.split(), "raw": text + " " * (index % 2), "imgid": index, "sentid": 3 * index + number}
                    for number, text in enumerate(raw)
                ],
                "cocoid": index,
            }
        )
    images[3]["split"] = "restval"
    asked = [image for image in images if image["split"] == "test"]
    official = [
        {"image_id": image["cocoid"], "id": text["sentid"], "caption": text["raw"]}
        for image in asked
        for text in image["sentences"]
    ]
    official = {"images": [{"id": image["cocoid"]} for image in asked], "annotations": official, "info": {}, "licenses": []}
    return {
        "coco/dataset_coco.json": compact({"dataset": "coco", "images": images}),
        "coco/captions_val2014.json": compact(official),
    }


def questions(draw: random.Random) -> dict[str, str]:
    files = {}
    for split, first, count in (("train2014", 0, SUPPORT), ("val2014", SUPPORT, QUERIES)):
        asked, answered = [], []
        for index in range(first, first + count):
            question = {
                "image_id": index,
                "question": f"What color is the {animal(index)}?",
                "question_id": 1000 + index,
            }
            asked.append(question)
            answers = [
                {
                    "answer": draw.choice((colour(index), colour(index), *COLOURS)),
                    "answer_confidence": "yes",
                    "answer_id": number,
                }
                for number in range(1, 11)
            ]
            answered.append(
                {
                    "question_type": "what color is the",
                    "multiple_choice_answer": max(COLOURS, key=lambda it: sum(a["answer"] == it for a in answers)),
                    "answers": answers,
                    "image_id": index,
                    "answer_type": "other",
                    "question_id": question["question_id"],
                }
            )
        about = {"info": {}, "task_type": "Open-Ended", "data_type": "mscoco", "data_subtype": split, "license": {}}
        files[f"vqav2/v2_OpenEnded_mscoco_{split}_questions.json"] = compact(about | {"questions": asked})
        files[f"vqav2/v2_mscoco_{split}_annotations.json"] = compact(about | {"annotations": answered})
    return files


def meme(index: int, draw: random.Random) -> str:
    return f"the {animal(index)} is {draw.choice(COLOURS)}"


def memes(draw: random.Random) -> dict[str, str]:
    def line(index: int) -> str:
        return json.dumps({"id": index, "img": f"img/{index:05d}.png", "label": index % 2, "text": meme(index, draw)})

    lines = [line(index) for index in range(SUPPORT + QUERIES)]
    return {
        "hateful_memes/train.jsonl": "\n".join(lines[:SUPPORT]),
        "hateful_memes/test_seen.jsonl": "\n".join(lines[SUPPORT:]),
    }


SYNSETS = ("n01440764", "n01443537", "n01484850")  # the first three classes


def pictures() -> dict[str, int]:
    """Where pictures lie, and their numbers."""
    indices = range(SUPPORT + QUERIES)
    places = {f"coco/{split}/COCO_{split}_{index:012d}.jpg": index for index in indices for split in ("train2014", "val2014")}
    places |= {f"hateful_memes/img/{index:05d}.png": index for index in indices}
    for index in range(SUPPORT):
        synset = SYNSETS[index % 3]
        places[f"imagenet/train/{synset}/{synset}_{index}.JPEG"] = index
    for index in range(SUPPORT, SUPPORT + 3):
        places[f"imagenet/val/{SYNSETS[index % 3]}/ILSVRC2012_val_{index:08d}.JPEG"] = index
    return places


def tokenizer(corpus: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level, of the letters of ASCII and some pieces of words, as the language models' tokenizers are."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    letters = [pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(chr(code))[0][0] for code in (10, *range(32, 127))]
    made.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=170, initial_alphabet=letters, show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=made)


def network(tokens: PreTrainedTokenizerFast, base: int) -> tuple[Flamingo, dict[str, torch.Tensor], str]:
    """As `create_model_and_transforms` joins it, with tiny parts."""
    draw = generator(0)
    torch.manual_seed(0)
    config = MptConfig(vocab_size=base, d_model=D, n_heads=2, n_layers=2, max_seq_len=1024)
    lm = MptForCausalLM(config)
    randomise(lm, draw)
    vision = VisionTransformer(
        image_size=SIZE,
        patch_size=PATCH,
        width=D_VISION,
        layers=2,
        heads=2,
        mlp_ratio=2.0,
        output_dim=6,
        act_layer=QuickGELU,
        output_tokens=True,
    )
    randomise(vision, draw)
    published = {f"weights.vision.visual.{key}": value for key, value in vision.state_dict().items()}
    vision.ln_post = torch.nn.Identity()

    config_json = json.dumps(lm.config.to_dict())
    lm.resize_token_embeddings(len(tokens))
    lm.config.hidden_size = D
    extend_instance(lm, flamingo_lm.FlamingoLMMixin)
    lm.set_decoder_layers_attr_name("transformer.blocks")
    clip = torch.nn.Module()
    clip.visual = vision
    eoc, image = (tokens.encode(token)[-1] for token in ("<|endofchunk|>", "<image>"))
    net = Flamingo(clip, lm, eoc, image, vis_dim=D_VISION, cross_attn_every_n_layers=1)
    net.perceiver = PerceiverResampler(dim=D_VISION, depth=1, num_latents=3, heads=HEADS)
    for part in (net.perceiver, net.lang_encoder.gated_cross_attn_layers, net.lang_encoder.get_input_embeddings()):
        randomise(part, draw)
    return net, published, config_json


def train(net: Flamingo, tokens: PreTrainedTokenizerFast, pixels: list[torch.Tensor], texts: list[list[str]]) -> None:
    """Some updates on prompts of pictures with texts of theirs, so that answers are words and pictures matter."""
    draw = random.Random(0)
    net.vision_encoder.requires_grad_(False)
    optimizer = torch.optim.Adam([it for it in net.parameters() if it.requires_grad], lr=3e-3)
    for update in range(UPDATES):
        kind = draw.choice(texts)
        some = [(index, draw.choice(kind[index])) for index in draw.sample(range(len(pixels)), 5)]
        bare = draw.randint(0, 2)  # the first ones without their pictures
        text = "".join(text.replace("<image>", "") if place < bare else text for place, (_, text) in enumerate(some))
        seen = torch.stack([pixels[index] for index, _ in some[bare:]])
        ids = torch.tensor([tokens.encode(text)])
        logits = net(seen[None, :, None], ids, torch.ones_like(ids)).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update % 200 == 199:
            print(f"update {update + 1}: loss {loss.item():.2f}")
    net.requires_grad_(False).eval()


def prompts(wording, classes: list[str], draw: random.Random) -> list[list[list[str]]]:
    """Of each kind, for each picture, some examples."""
    pictures = range(SUPPORT + QUERIES)
    kinds = (
        lambda index: wording.get_caption_prompt(caption(index, draw)) + "\n",
        lambda index: wording.get_vqa_prompt(f"What color is the {animal(index)}?", colour(index)) + "\n",
        lambda index: wording.get_hateful_memes_prompt(meme(index, draw), draw.choice(("no", "yes"))),
        lambda index: wording.get_imagenet_prompt(classes[index % 3]),
    )
    return [[[kind(index) for _ in range(3)] for index in pictures] for kind in kinds]


class Watched:
    """What passes through the program while it runs."""

    def __init__(self, evaluate, model):
        self.evaluate, self.model = evaluate, model
        self.order, self.examples, self.prompts, self.said, self.cleaned = [], [], [], [], []

    def run(self, flow) -> float:
        """The score."""
        wrapped = (
            (self.evaluate.utils, "prepare_eval_samples", self.queries),
            (self.evaluate.utils, "sample_batch_demos_from_query_set", self.chosen),
            (self.model, "get_outputs", self.outputs),
            (self.model, "get_rank_classifications", self.ranks),
            (self.evaluate, "compute_cider", self.results),
            (self.evaluate, "compute_vqa_accuracy", self.results),
        )
        with contextlib.ExitStack() as stack:
            for owner, name, keep in wrapped:
                stack.enter_context(mock.patch.object(owner, name, partial(keep, getattr(owner, name))))
            for stream in (contextlib.redirect_stdout, contextlib.redirect_stderr):
                stack.enter_context(stream(io.StringIO()))
            return flow()

    def queries(self, inner, *args):
        loader = inner(*args)
        self.order += [identity(loader.dataset[place]) for place in loader.sampler]
        return loader

    def chosen(self, inner, *args):
        examples = inner(*args)
        self.examples += [[identity(example) for example in row] for row in examples]
        return examples

    def outputs(self, inner, *args, **settings):
        self.prompts += settings["batch_text"]
        said = inner(*args, **settings)
        self.said += said
        return said

    def ranks(self, inner, text, *args, **settings):
        self.prompts += text
        found = inner(text, *args, **settings)
        self.said += found.tolist()
        return found

    def results(self, inner, *args, **settings):
        path = settings.get("result_path") or args[0]
        kept = {row.get("image_id", row.get("question_id")): row for row in json.loads(Path(path).read_text())}
        texts = [kept[int(query)] for query in self.order[-len(kept) :]]
        self.cleaned += [row.get("caption", row.get("answer")) for row in texts]
        return inner(*args, **settings)


def identity(sample: dict) -> str:
    for key in ("image_id", "question_id", "id"):
        if key in sample:
            return str(sample[key])
    raise KeyError(sample)


def asked_model(module, net: Flamingo, tokens: PreTrainedTokenizerFast):
    """Their model for evaluation around ours: what its `__init__` would have read from files."""
    model = object.__new__(module.EvalModel)
    model.model, model.tokenizer, model.device, model.lm_name = net, tokens, "cpu", "tiny"
    mean, deviation = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    model.image_processor = open_clip.image_transform(SIZE, is_train=False, mean=mean, std=deviation)
    model.tokenizer.padding_side = "left"
    model.autocast, model.cast_dtype = contextlib.nullcontext, None
    return model


def program(checkout: Path):
    """`evaluate.py` and its model, with what needs more programs left out."""
    import open_flamingo
    import open_flamingo.eval as package

    package.__path__.append(str(checkout / "open_flamingo" / "eval"))
    sys.path.insert(0, str(Path(open_flamingo.__file__).parent / "eval"))
    import pycocoevalcap.eval as scorers

    class Nothing:
        def compute_score(self, gts, res):
            return 0.0, [0.0 for _ in gts]

        def method(self):
            return "left out"

    scorers.Meteor = scorers.Spice = Nothing
    import evaluate
    from open_flamingo.eval.models import open_flamingo as module

    class WithText(evaluate.ImageNetDataset):
        """Every picture is asked for its text, which in 2.0.1 those of ImageNet do not have."""

        def __getitem__(self, index):
            return super().__getitem__(index) | {"ocr": ""}

    evaluate.ImageNetDataset = WithText
    evaluate.IMAGENET_CLASSNAMES = evaluate.IMAGENET_CLASSNAMES[:CLASSES]
    return evaluate, module


def runs(evaluate, model, folder: Path):
    """Every flow with every number of examples."""
    common = {
        "model": "open_flamingo",
        "num_samples": -1,
        "batch_size": 1,
        "rices": False,
        "query_set_size": 6,
        "rank": 0,
        "world_size": 1,
        "coco_train_image_dir_path": folder / "coco/train2014",
        "coco_val_image_dir_path": folder / "coco/val2014",
        "coco_karpathy_json_path": folder / "coco/dataset_coco.json",
        "coco_annotations_json_path": folder / "coco/captions_val2014.json",
        "hateful_memes_image_dir_path": folder / "hateful_memes/img",
        "hateful_memes_train_annotations_json_path": folder / "hateful_memes/train.jsonl",
        "hateful_memes_test_annotations_json_path": folder / "hateful_memes/test_seen.jsonl",
        "imagenet_root": folder / "imagenet",
    }
    for split, name in (("train", "train2014"), ("test", "val2014")):
        common[f"vqav2_{split}_image_dir_path"] = str(folder / "coco" / name)
        common[f"vqav2_{split}_questions_json_path"] = folder / f"vqav2/v2_OpenEnded_mscoco_{name}_questions.json"
        common[f"vqav2_{split}_annotations_json_path"] = folder / f"vqav2/v2_mscoco_{name}_annotations.json"
    args = Namespace(**{key: str(value) if isinstance(value, Path) else value for key, value in common.items()})
    flows = {
        "coco": partial(evaluate.evaluate_captioning, dataset_name="coco"),
        "vqav2": partial(evaluate.evaluate_vqa, dataset_name="vqav2"),
        "hateful-memes": partial(evaluate.evaluate_classification, dataset_name="hateful_memes"),
        "imagenet": partial(evaluate.evaluate_classification, dataset_name="imagenet"),
    }
    for task, flow in flows.items():
        for shots in SHOTS:
            watched = Watched(evaluate, model)
            score = watched.run(partial(flow, args, eval_model=model, seed=SEED, num_shots=shots))
            said = watched.said
            if task in ("imagenet", "hateful-memes"):
                said = [[round(value, 6) for value in row] for row in said]
            found = {
                "task": task,
                "shots": shots,
                "queries": watched.order,
                "examples": watched.examples,
                "prompts": watched.prompts,
                "said": said,
                "cleaned": watched.cleaned,
                "score": score,
            }
            print(task, shots, score, said[:3], watched.cleaned[:3])
            yield found


def main(checkout: Path) -> None:
    draw = random.Random(1)
    files = coco(draw) | questions(draw) | memes(draw)
    evaluate, module = program(checkout)
    wording = object.__new__(module.EvalModel)
    texts = prompts(wording, evaluate.IMAGENET_CLASSNAMES, draw)
    plain = [text for kind in texts for of_one in kind for text in of_one]
    plain = [text.replace("<image>", "").replace("<|endofchunk|>", "") for text in plain]
    tokens = tokenizer(plain)
    base = len(tokens)
    as_published = tokens.backend_tokenizer.to_str()
    tokens.add_special_tokens({"additional_special_tokens": ["<|endofchunk|>", "<image>"]})
    tokens.add_special_tokens({"pad_token": "<PAD>"})
    net, tensors, config = network(tokens, base)
    model = asked_model(module, net, tokens)
    train(net, tokens, [model.image_processor(picture(index)) for index in range(SUPPORT + QUERIES)], texts)
    for parameter in net.parameters():
        parameter.copy_(parameter.half().float())  # as they are saved
    net.generate = partial(net.generate, bad_words_ids=[[net.media_token_id]], pad_token_id=net.eoc_token_id)

    lm = {key: value for key, value in net.lang_encoder.state_dict().items() if "gated_cross" not in key}
    lm = {key.replace(".decoder_layer.", "."): value for key, value in lm.items() if not key.startswith("old_decoder")}
    tensors |= {f"weights.lm.{key}": value[:base] if "wte" in key else value for key, value in lm.items() if key != "lm_head.weight"}
    kept = ("perceiver.", ".gated_cross_attn_layer.", "transformer.wte.")
    state = net.state_dict().items()
    tensors |= {
        f"weights.flamingo.{key}": value
        for key, value in state
        if any(part in key for part in kept) and "old_decoder_blocks" not in key
    }
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        for name, index in pictures().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            picture(index).save(folder / name, "PNG")
        torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=0, world_size=1)
        os.chdir(folder)
        found = list(runs(evaluate, model, folder))
        torch.distributed.destroy_process_group()
    reference = f"{version('open_flamingo')} evaluate.py, {version('transformers')}, {version('pycocoevalcap')}"
    save_as_is(
        "evaluation",
        {key: value.half() for key, value in tensors.items()},
        "evaluation: captions, questions, classification",
        reference,
        **{
            "config.json": config,
            "tokenizer.json": as_published,
            "files": compact(files),
            "pictures": compact(pictures()),
            "classes": "\n".join(evaluate.IMAGENET_CLASSNAMES),
            "runs": compact(found),
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
