"""LoRA of `peft` on the tiny Llama of `language_models.py`: logits before and after merging, and the gradients of A and B.

A fixture holds the adapters as `peft` saves them (below `adapter.`, without `base_model.model.model.layers.`), and what base model and adapters compute together.
"""

import json

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

from common import FIXTURES, SEEDS, generator, save, version, weighted_sum

LENGTH = 7
RANK, ALPHA = 2, 12.0
TARGETS = ["v_proj", "down_proj"]


def short(name: str) -> str:
    return name.removeprefix("base_model.model.model.layers.").removesuffix(".weight")


def fixture(seed: int) -> None:
    random = generator(seed)
    with safe_open(FIXTURES / f"lm-llama-{seed}.safetensors", "pt") as file:
        config = LlamaConfig(**json.loads(file.metadata()["config.json"]))
        prefix = "weights."
        weights = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}
    base = LlamaForCausalLM(config)
    missing, unused = base.load_state_dict(weights, strict=False)
    assert not unused and set(missing) <= {"lm_head.weight"}, (missing, unused)  # tied to the embedding

    net = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, lora_dropout=0.0))
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))
    ids = torch.randint(0, config.vocab_size, (2, LENGTH), generator=random)
    logits = net(input_ids=ids).logits
    weighted_sum(logits).backward()
    tensors = {"in.ids": ids, "out.logits": logits}
    for name, value in get_peft_model_state_dict(net).items():
        tensors[f"adapter.{short(name)}"] = value
    for name, parameter in net.named_parameters():
        if parameter.grad is not None:
            tensors[f"grad.{short(name.replace('.default', ''))}"] = parameter.grad
    merged = net.merge_and_unload()
    tensors["out.merged"] = merged(input_ids=ids).logits
    reference = f"{version('peft')} LoRA on {version('transformers')} Llama"
    save(f"lora-{seed}", tensors, "language model: LoRA", reference)


if __name__ == "__main__":
    for seed in SEEDS:
        fixture(seed)
