"""Texts that whole tiny models of other fixtures generate for prompts of text and images.

Run it twice: where there is open_flamingo, with its `Flamingo.generate` (`generation-open-flamingo.json`), and with
transformers 4.57, with its `IdeficsForVisionText2Text.generate` (`generation-idefics.json`).

A file holds twenty prompts for each model, the pictures in them by number, and for each setting, under our names, the
best text and, of beams, its score. A prompt stands alone in its call; all twenty side by side, shorter ones padded in
front, must give the same texts. Prompts at which rounding could decide are passed over.
"""

import itertools
import json
import random
from importlib.util import find_spec
from unittest import mock

import torch
from safetensors.torch import load_file

import idefics
from common import FIXTURES, SEEDS, generator, version

PROMPTS, MOST_IMAGES, PICTURES = 20, 6, 12
NEW_TOKENS = 10
BEAMS = {"beams": 3, "length_penalty": 0.0}
SETTINGS = (
    {},
    BEAMS,
    BEAMS | {"length_penalty": 1.0},
    # Left alone, tiny models soon say the same again and again.
    {"repetition_penalty": 1.3},
    BEAMS | {"no_repeat_ngram": 2},
    BEAMS | {"length_penalty": 1.0, "no_repeat_ngram": 2},
)
NAMES = {"beams": "num_beams", "no_repeat_ngram": "no_repeat_ngram_size", "stop_ids": "eos_token_id"}
CLEAR = 1e-4  # two scores that decide something differ by more
SIZE = idefics.SIZE


def picture(index: int) -> torch.Tensor:
    """Numbers that are the same in any language, `[3, SIZE, SIZE]`."""
    values = [(i * i + 3) * (2 * index + 5) % 257 / 128 - 1 for i in range(3 * SIZE * SIZE)]
    return torch.tensor(values).reshape(3, SIZE, SIZE)


class OpenFlamingo:
    """As its evaluation asks it: a chunk ends the text."""

    rules = "transformers-4.35"

    def __init__(self, seed: int):
        import open_flamingo_models as models  # needs what the other environment has not

        self.name = f"open-flamingo-{seed}"
        self.net, _, _ = models.network(seed, generator(seed))
        self.pad = models.EOC + 2
        self.stops, self.said, self.banned = [models.EOC], (12, 8)[seed], [models.IMAGE, self.pad]
        self.words, self.begin, self.image, self.end = range(models.TOKENS), [], [models.IMAGE], [models.EOC]
        fixture = load_file(FIXTURES / f"{self.name}.safetensors")
        ids = fixture["in.ids"].long()
        logits = self.net(fixture["in.pixels"], ids, torch.ones_like(ids)).logits
        torch.testing.assert_close(logits, fixture["out.logits"], atol=1e-5, rtol=0)

    def generate(self, ids: torch.Tensor, mask: torch.Tensor, pixels: torch.Tensor, **settings):
        return self.net.generate(pixels[:, :, None], ids, mask, **settings)


class Idefics:
    """Between two images there is one token for both sides."""

    rules = "transformers-4.57"

    def __init__(self, seed: int):
        self.name = f"idefics-{seed}"
        self.net = idefics.IdeficsForVisionText2Text(idefics.config(seed)).eval()
        fixture = load_file(FIXTURES / f"{self.name}.safetensors")
        weights = {key: value for key, value in fixture.items() if key.startswith("weights.")}
        self.net.load_state_dict({key.removeprefix("weights."): value for key, value in weights.items()})
        around, image, end = range(idefics.VOCAB, idefics.VOCAB + idefics.ADDITIONAL)
        config = self.net.config
        config.vocab_size += idefics.ADDITIONAL  # 4.57.1 has beams only where this counts all scores
        self.pad = config.pad_token_id
        self.stops, self.said = [config.eos_token_id, end], (5, 12)[seed]
        self.banned = [self.pad, around, image]  # what is never said may fill up: penalties count it
        self.words = range(config.eos_token_id + 1, idefics.VOCAB)
        self.begin, self.image, self.end = [config.bos_token_id], [around, image, around], [end]
        ids = fixture["in.ids"].long()
        inputs = {"pixel_values": fixture["in.pixels"], "image_attention_mask": idefics.image_mask(ids, 2)}
        logits = self.net(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits
        torch.testing.assert_close(logits, fixture["out.logits"], atol=1e-5, rtol=0)

    def generate(self, ids: torch.Tensor, mask: torch.Tensor, pixels: torch.Tensor, **settings):
        seen = idefics.image_mask(ids, pixels.shape[1])
        inputs = {"attention_mask": mask, "pixel_values": pixels, "image_attention_mask": seen}
        return self.net.generate(input_ids=ids, **inputs, **settings)


def prompts(subject, draw: random.Random):
    """Prompts of any length: text or none, then images with text or none behind them, some with the end of a chunk."""
    for number in itertools.count():
        images = 1 + number % MOST_IMAGES
        ids = subject.begin + draw.choices(subject.words, k=draw.randint(0, 3))
        for image in range(images):
            # Two images in a row share the token between them, if there is one.
            shared = len(subject.image) > 1 and ids[-1:] == subject.image[-1:]
            ids = ids + subject.image[int(shared) :] + draw.choices(subject.words, k=draw.randint(0, 5))
            if image < images - 1 and draw.random() < 0.5:
                ids = ids + subject.end
        yield {"ids": ids, "pictures": draw.sample(range(PICTURES), images)}


def inputs(subject, batch: list[dict]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids and mask, padded in front, and pictures, padded with black ones behind."""
    longest = max(len(prompt["ids"]) for prompt in batch)
    most = max(len(prompt["pictures"]) for prompt in batch)
    pads = [longest - len(prompt["ids"]) for prompt in batch]
    ids = [[subject.pad] * pad + prompt["ids"] for pad, prompt in zip(pads, batch)]
    mask = [[0] * pad + [1] * (longest - pad) for pad in pads]
    pixels = torch.zeros(len(batch), most, 3, SIZE, SIZE)
    for row, prompt in zip(pixels, batch):
        for place, index in zip(row, prompt["pictures"]):
            place.copy_(picture(index))
    return torch.tensor(ids), torch.tensor(mask), pixels


def gap(scores: torch.Tensor) -> float:
    """The smallest difference of two neighbours in a list of possible scores."""
    possible = scores[scores > -1e8].sort().values
    return possible.diff().min().item() if len(possible) > 1 else float("inf")


@torch.no_grad()
def texts(subject, batch: list[dict], options: dict) -> tuple[list[list[int]], list[float], float]:
    """Of each prompt the best text and its score, and the smallest gap by which any choice was made."""
    gaps = []
    best_of = torch.topk

    def watched(scores, k, **settings):
        for row in scores:
            gaps.append(gap(best_of(row, min(k + 1, len(row))).values))
        return best_of(scores, k, **settings)

    ids, mask, pixels = inputs(subject, batch)
    beams, stops = options.get("beams", 1), options["stop_ids"]
    named = {NAMES.get(key, key): value for key, value in options.items()}
    with mock.patch("torch.topk", watched):
        found = subject.generate(
            ids,
            mask,
            pixels,
            num_return_sequences=beams,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            pad_token_id=subject.pad,
            bad_words_ids=[[token] for token in subject.banned],
            return_dict_in_generate=True,
            output_scores=True,
            **named,
        )
    if beams == 1:
        gaps += [gap(row.topk(2).values) for scores in found.scores for row in scores]
        scores = []
    else:
        scores = found.sequences_scores.reshape(-1, beams)
        gaps += [gap(row) for row in scores]
        scores = [round(score, 6) for score in scores[:, 0].tolist()]
    rows = [row[ids.shape[1] :] for row in found.sequences[::beams].tolist()]
    ends = [next((place + 1 for place, token in enumerate(row) if token in stops), len(row)) for row in rows]
    return [row[:end] for row, end in zip(rows, ends)], scores, min(gaps)


def settings(subject):
    """Where a text has to vary it ends with a token that this model does say."""
    for options in SETTINGS:
        yield options | {"stop_ids": [subject.said] if "no_repeat_ngram" in options else subject.stops}


def choose(subject, seed: int) -> list[dict]:
    """Prompts at which no choice is narrow, whatever the setting."""
    clear = (
        prompt
        for prompt in prompts(subject, random.Random(seed))
        if all(texts(subject, [prompt], options)[2] > CLEAR for options in settings(subject))
    )
    return list(itertools.islice(clear, PROMPTS))


def cases(subject, chosen: list[dict]):
    """What each setting gives."""
    common = {"max_new_tokens": NEW_TOKENS, "banned_ids": subject.banned, "beam_rules": subject.rules}
    others = [prompt | {"pictures": [(index + 1) % PICTURES for index in prompt["pictures"]]} for prompt in chosen]
    for options in settings(subject):
        alone = [texts(subject, [prompt], options) for prompt in chosen]
        best, scores = [tokens for (tokens,), _, _ in alone], [score for _, found, _ in alone for score in found]
        together, scores_together, _ = texts(subject, chosen, options)
        # The older program counts the padding, too, as a text's length.
        if subject.rules != "transformers-4.35" or not options.get("length_penalty"):
            assert together == best, f"{subject.name} {options}: side by side, other texts"
            torch.testing.assert_close(scores_together, scores, atol=2e-5, rtol=0)
        ended = sum(tokens[-1] in options["stop_ids"] for tokens in best)
        differ = sum(texts(subject, [prompt], options)[0] != [tokens] for prompt, tokens in zip(others, best))
        print(f"{subject.name} {options}: {ended} of {PROMPTS} end, {differ} are others with other pictures")
        yield {"model": subject.name, "options": options | common, "tokens": best, "scores": scores}


def lines(values: list[dict]) -> str:
    return "[\n" + ",\n".join(json.dumps(value, separators=(",", ":")) for value in values) + "\n]"


if __name__ == "__main__":
    with_open_flamingo = find_spec("open_flamingo") is not None
    family = OpenFlamingo if with_open_flamingo else Idefics
    packages = ("open_flamingo", "transformers") if with_open_flamingo else ("transformers",)
    name = "open-flamingo" if with_open_flamingo else "idefics"
    subjects = [family(seed) for seed in SEEDS]
    chosen = {subject.name: choose(subject, seed) for seed, subject in enumerate(subjects)}
    reference = ", ".join(map(version, packages)) + " generate()"
    parts = {"part": json.dumps(f"decoding: {family.__name__}"), "reference": json.dumps(reference)}
    parts["prompts"] = "{" + ",\n".join(f'"{key}":{lines(value)}' for key, value in chosen.items()) + "}"
    parts["cases"] = lines([case for subject in subjects for case in cases(subject, chosen[subject.name])])
    path = FIXTURES / f"generation-{name}.json"
    path.write_text("{" + ",\n".join(f'"{key}":{value}' for key, value in parts.items()) + "}\n")
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
