"""Texts that `transformers` generates with tiny models of other fixtures, under many settings.

Run it twice, with transformers 4.35 and with 4.57: their beam searches differ. Each writes `decoding-<version>.json`.
A case holds the model, the options under our names, and for each prompt the best text and the scores of all that were
found, by which beams are ranked. The later version adds what can be drawn of random scores.
"""

import itertools
import json

import torch
import transformers
from safetensors import safe_open
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.generation import logits_process

from common import FIXTURES, generator, version

VERSION = ".".join(transformers.__version__.split(".")[:2])
MODELS = {
    "lm-llama-untied-0": (LlamaConfig, LlamaForCausalLM),
    "lm-pythia-1": (GPTNeoXConfig, GPTNeoXForCausalLM),
}
PROMPTS = [[1, 14, 3, 7], [5, 5, 2], [11]]
NAMES = {
    "beams": "num_beams",
    "no_repeat_ngram": "no_repeat_ngram_size",
    "stop_ids": "eos_token_id",
    "banned_ids": "suppress_tokens",
}


def load(name: str):
    with safe_open(FIXTURES / f"{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        config = json.loads(file.metadata()["config.json"])
    make_config, make_model = MODELS[name]
    net = make_model(make_config(**config)).eval()
    weights = {key.removeprefix("weights."): value for key, value in tensors.items() if key.startswith("weights.")}
    net.load_state_dict(weights, strict=False)
    torch.testing.assert_close(net(tensors["in.ids"].long()).logits, tensors["out.logits"], atol=1e-5, rtol=0)
    return net


STOPS = ([9, 3], [13, 11], [15, 18])  # these models do say them


def plain():
    """Settings without beams."""
    yield {}
    for stop in ([11], [4, 17], [9, 3]):
        yield {"stop_ids": stop}
    yield {"repetition_penalty": 1.3}
    yield {"repetition_penalty": 3.0, "stop_ids": [4, 8]}
    yield {"repetition_penalty": 0.7}
    for size in (1, 2, 3):
        yield {"no_repeat_ngram": size, "max_new_tokens": 14}
    yield {"min_new_tokens": 6, "stop_ids": [4, 3]}
    yield {"banned_ids": [11, 12], "repetition_penalty": 1.1, "no_repeat_ngram": 3, "stop_ids": [1]}


def with_beams():
    """A grid, and what is changed beside it."""
    for place, (beams, penalty) in enumerate(itertools.product((2, 3, 5), (0.5, 0.0, 2.0, 1.0))):
        common = {"max_new_tokens": 16, "beams": beams, "length_penalty": penalty, "stop_ids": STOPS[place % 3]}
        for early in (False, True, "never"):
            yield common | {"early_stopping": early}
    for more in (
        {"length_penalty": -1.0},
        {"repetition_penalty": 1.5},
        {"no_repeat_ngram": 2},
        {"min_new_tokens": 5},
        {"banned_ids": [12, 15]},
        {"max_new_tokens": 3},
        {"stop_ids": []},
        {"min_new_tokens": 4, "repetition_penalty": 1.2, "no_repeat_ngram": 3, "banned_ids": [16]},
    ):
        yield {"beams": 3, "length_penalty": 0.5, "stop_ids": STOPS[1]} | more


@torch.no_grad()
def texts(net, prompt: list[int], options: dict) -> tuple[list[list[int]], list[float]]:
    kwargs = {NAMES.get(key, key): value for key, value in options.items() if value != []}
    beams = options.get("beams", 1)
    found = net.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        pad_token_id=0,
        bos_token_id=None,
        num_return_sequences=beams,
        return_dict_in_generate=True,
        output_scores=True,
        **({"eos_token_id": None} | kwargs),
    )
    stop = options.get("stop_ids", [])
    rows = [row[len(prompt) :] for row in found.sequences.tolist()]
    ends = [next((place + 1 for place, token in enumerate(row) if token in stop), len(row)) for row in rows]
    scores = found.sequences_scores.tolist() if beams > 1 else []
    return [row[:end] for row, end in zip(rows, ends)], [round(score, 4) for score in scores]


def cases() -> list[dict]:
    models = {name: load(name) for name in MODELS}
    for net in models.values():
        net.generation_config.eos_token_id = net.generation_config.bos_token_id = None
    thrice = [name for name in MODELS for _ in range(3)]  # the same for each kind of early stopping
    chosen = itertools.chain(itertools.product(MODELS, plain()), zip(itertools.cycle(thrice), with_beams()))
    written = []
    for name, options in chosen:
        options = {"max_new_tokens": 10} | options
        found = [texts(models[name], prompt, options) for prompt in PROMPTS]
        case = {"model": name, "options": options, "best": [rows[0] for rows, _ in found]}
        if "beams" in options:
            case["scores"] = [scores for _, scores in found]
        written.append(case)
    return written


def filtered() -> list[dict]:
    """Which ids stay when one draws, and their probabilities."""
    random = generator(3)
    written = []
    for temperature, k, p, least in itertools.product((0.5, 1.7), (0, 5), (1.0, 0.8, 0.4), (0.0, 0.2)):
        scores = (2 * torch.randn(1, 12, generator=random)).round(decimals=3)
        # In the order in which generate() applies them.
        warpers = [logits_process.TemperatureLogitsWarper(temperature)]
        warpers += [logits_process.TopKLogitsWarper(k)] if k else []
        warpers += [logits_process.TopPLogitsWarper(p)] if p < 1 else []
        warpers += [logits_process.MinPLogitsWarper(least)]
        warped = scores
        for warper in warpers:
            warped = warper(None, warped)
        probabilities = warped.double().softmax(-1)[0].tolist()
        written.append(
            {
                "options": {"temperature": temperature, "top_k": k, "top_p": p, "min_p": least},
                "scores": [round(score, 3) for score in scores[0].tolist()],
                "left": {token: round(value, 8) for token, value in enumerate(probabilities) if value > 0},
            }
        )
    return written


def lines(values: list[dict]) -> str:
    return "[\n" + ",\n".join(json.dumps(value, separators=(",", ":")) for value in values) + "\n]"


if __name__ == "__main__":
    parts = {"part": json.dumps("decoding"), "reference": json.dumps(f"{version('transformers')} generate()")}
    parts |= {"prompts": json.dumps(PROMPTS), "cases": lines(cases())}
    if hasattr(logits_process, "MinPLogitsWarper"):
        parts["filtered"] = lines(filtered())
    path = FIXTURES / f"decoding-{VERSION}.json"
    path.write_text("{" + ",\n".join(f'"{key}":{value}' for key, value in parts.items()) + "}\n")
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
