"""What all generators share: seeded weights that hide nothing, and the layout of a fixture file.

A fixture holds `weights.<key of the reference>`, `in.<name>`, `mid.<name>`, `out.<name>` and `grad.<name>`, all f32
(token ids too: they are small integers). Its metadata say what it is about: `part` is the part of this project, as
`group: name`, `reference` the program and version that computed the numbers. `cargo xtask parity` prints both. In GGUF
files they are `test.part` and `test.reference`, in files of JSON they stand beside the rest.
"""

import json
from importlib import metadata as packages
from pathlib import Path

import safetensors.torch
import torch

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
SEEDS = (0, 1)

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def randomise(module: torch.nn.Module, random: torch.Generator) -> None:
    """Fills every parameter: matrices by fan-in, gains around 1, biases and gates well away from 0.

    As initialised, many parts are zero or one, and a test would pass whatever is done with them.
    """
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=random)
        if parameter.squeeze().ndim > 1:
            parameter.copy_(noise * parameter[0].numel() ** -0.5)
        elif name.endswith(("gain", "gate", "norm.weight")) or "norm" in name and name.endswith("weight"):
            parameter.copy_(0.8 + 0.2 * noise)
        else:
            parameter.copy_(0.3 * noise)


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter under the reference's own key."""
    return {f"weights.{key}": value for key, value in module.named_parameters()}


def weighted_sum(output: torch.Tensor) -> torch.Tensor:
    """A scalar whose gradient differs at every element: sum of output_i * cos(i)."""
    flat = output.flatten()
    return (flat * torch.arange(flat.numel(), dtype=torch.float64).cos().to(flat.dtype)).sum()


def version(package: str) -> str:
    """Name and installed version, such as `timm 1.0.31`."""
    return f"{package} {packages.version(package).partition('+')[0]}"


def save(name: str, tensors: dict[str, torch.Tensor], part: str, reference: str, **metadata: str) -> None:
    """A fixture in f32."""
    plain = {key: value.detach().to(torch.float32) for key, value in tensors.items()}
    save_as_is(name, plain, part, reference, **metadata)


def save_as_is(name: str, tensors: dict[str, torch.Tensor], part: str, reference: str, **metadata: str) -> None:
    """A fixture in the tensors' own number formats."""
    path = FIXTURES / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {key: value.detach().contiguous().clone() for key, value in tensors.items()}
    metadata |= {"part": part, "reference": reference}
    path.write_bytes(in_order(safetensors.torch.save(plain, metadata)))
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {len(plain)} tensors")


def add_texts(writer, texts: list[str], ids: list[list[int]]) -> None:
    """Texts into a GGUF file that holds a tokenizer, and the expected ids of the first of them."""
    writer.add_array("test.texts", texts)
    for index, expected in enumerate(ids):
        writer.add_uint32(f"test.length.{index}", len(expected))  # an empty array cannot be written
        if expected:
            writer.add_array(f"test.ids.{index}", expected)


def save_gguf(writer, path: Path, part: str, reference: str) -> None:
    """A fixture by `gguf.GGUFWriter`."""
    writer.add_string("test.part", part)
    writer.add_string("test.reference", reference)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")


def in_order(file: bytes) -> bytes:
    """A safetensors file with its metadata sorted: they come in another order each time."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + file[end:]
