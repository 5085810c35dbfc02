"""Checkpoint files as other programs write them: torch.save, safetensors, and gguf-py for quantised blocks.

Beside each file lie the tensors that the same program reads from it, as `<name>.expected.safetensors`.
"""

import json
import os
from collections import OrderedDict

import gguf
import numpy as np
import torch

from common import FIXTURES, SEEDS, generator, save_as_is, version

FOLDER = FIXTURES / "weights"
QUANTISED = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K")
# Where each format has half-precision scales: random bits there would make infinities.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def expected(name: str, tensors: dict[str, torch.Tensor]) -> None:
    quantised = name.startswith("quantised")
    part = "files: GGUF" if quantised else "files: PyTorch"
    reference = f"{version('gguf')} dequantize" if quantised else f"{version('torch')} save"
    save_as_is(f"weights/{name}.expected", tensors, part, reference)


def state_dict(random: torch.Generator) -> OrderedDict:
    """Every number format, and every way in which a tensor can lie in its storage."""
    base = torch.randn(4, 6, generator=random)
    tensors = OrderedDict(
        {
            "plain": base,
            "transposed": base.T,
            "every_other": base[1::2, ::3],
            "middle": base[2],
            "parameter": torch.nn.Parameter(torch.randn(2, 3, generator=random)),
            "channels_last": torch.randn(1, 3, 2, 2, generator=random).to(memory_format=torch.channels_last),
            "scalar": torch.randn((), generator=random),
            "empty": torch.zeros(0, 5),
            "bool": torch.randn(3, generator=random) > 0,
        }
    )
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        tensors[str(dtype).removeprefix("torch.")] = torch.randn(5, generator=random).to(dtype)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        tensors[str(dtype).removeprefix("torch.")] = torch.randint(0, 100, (3,), generator=random, dtype=dtype)
    return tensors


def module_state(random: torch.Generator) -> OrderedDict:
    """As a module gives it, with `_metadata`, below the prefixes of two wrappers."""
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=random))
    state = module.state_dict(prefix="module.net._checkpoint_wrapped_module.")
    assert hasattr(state, "_metadata")
    return state


def torch_files(seed: int) -> None:
    random = generator(seed)
    tensors = state_dict(random)
    torch.save(tensors, FOLDER / f"zip-{seed}.pt")
    torch.save(tensors, FOLDER / f"legacy-{seed}.pth", _use_new_zipfile_serialization=False)
    expected(f"torch-{seed}", tensors)

    state = module_state(random)
    linear = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(linear.parameters())
    linear(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    container = {"epoch": 3, "lr": 1e-4, "model_state_dict": state, "optimizer_state_dict": optimizer.state_dict()}
    torch.save(container, FOLDER / f"container-{seed}.pt")
    expected(f"container-{seed}", {key.replace("module.net._checkpoint_wrapped_module", "net"): value for key, value in state.items()})


def other_shapes() -> None:
    """A newer pickle protocol; tensors in lists and in dictionaries of dictionaries; a tensor that repeats itself."""
    random = generator(0)
    tensors = state_dict(random)
    torch.save(tensors, FOLDER / "protocol-4.pt", pickle_protocol=4)
    expected("protocol-4", tensors)
    a, b = torch.randn(2, 2, generator=random), torch.randn(3, generator=random)
    torch.save({"blocks": [{"w": a}, (b, {0: a})], "size": a.shape}, FOLDER / "nested.pt")
    expected("nested", {"blocks.0.w": a, "blocks.1.0": b, "blocks.1.1.0": a})
    torch.save({"mask": torch.zeros(1).expand(1 << 40)}, FOLDER / "repeated.pt")


def shards() -> None:
    random = generator(0)
    a, b = torch.randn(2, 2, generator=random), torch.randn(3, generator=random)
    folder = FOLDER / "sharded"
    folder.mkdir(exist_ok=True)
    torch.save({"a": a}, folder / "pytorch_model-00001-of-00002.bin")
    torch.save({"b": b}, folder / "pytorch_model-00002-of-00002.bin")
    names = {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}, indent=1))
    expected("sharded", {"a": a, "b": b})


class Attack:
    """What it would run makes a file that a test can look for."""

    def __reduce__(self):
        return os.system, ("touch executed-by-a-pickle",)


def attacks() -> None:
    tensors = {"weight": torch.zeros(1), "more": Attack()}
    torch.save(tensors, FOLDER / "attack.pt")
    torch.save(tensors, FOLDER / "attack.pth", _use_new_zipfile_serialization=False)


def gguf_file(seed: int) -> None:
    random = np.random.default_rng(seed)
    path = FOLDER / f"quantised-{seed}.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b", "é"])
    writer.add_token_scores([0.5, -1.0, 0.0])
    writer.add_add_bos_token(True)
    values = {}
    for name in QUANTISED:
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (512 // elements, size), dtype=np.uint8)
        for at in HALVES[name]:
            scales = random.standard_normal(len(blocks)).astype("<f2")
            blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
        raw = blocks.reshape(2, -1)
        values[name] = gguf.quants.dequantize(raw, kind)
        writer.add_tensor(name, raw, raw_dtype=kind)
    plain = random.standard_normal((2, 3)).astype(np.float32)
    writer.add_tensor("F32", plain)
    writer.add_tensor("F16", plain.astype(np.float16))
    bf16 = torch.from_numpy(plain).bfloat16()
    writer.add_tensor("BF16", bf16.view(torch.uint8).numpy(), raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in values.items()}
    expected(f"quantised-{seed}", tensors | {"F32": torch.from_numpy(plain), "F16": torch.from_numpy(plain).half(), "BF16": bf16})


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        torch_files(seed)
        gguf_file(seed)
    other_shapes()
    shards()
    attacks()
