"""Pictures, and what PIL, torchvision, open_clip and timm make of them: `fixtures/preprocess`.

For each picture a sheet of four 24x24 images side by side:

1. CLIP: open_clip's own transform (shortest side, bicubic, centre crop, transparency dropped after the resize);
2. the same with the bilinear kernel;
3. IDEFICS: laid on white, then squashed (bicubic);
4. Flamingo: laid on white, longest side by timm's `ResizeKeepRatio`, padded by timm's `CenterCropOrPad`.

For some JPEGs also their pixels as PIL, that is libjpeg-turbo, decodes them.

Where PIL's own reading is not what anybody wants, the sheet says what we want: upright by the EXIF orientation, the
upper eight bits of sixteen-bit grey (PIL clips it to white), the colours of a palette (PIL resizes palettes by the
nearest neighbour) and of inks (left to itself PIL resizes the inks and makes colours of them afterwards).
"""

import io
import struct
import zlib

import numpy as np
from open_clip.transform import image_transform
from PIL import Image, ImageOps
from timm.data.transforms import CenterCropOrPad, ResizeKeepRatio

from common import FIXTURES, save, version

FOLDER = FIXTURES / "preprocess"
SIZE = 24
IMAGENET_MEAN = (124, 116, 104)
WHITE = (255, 255, 255)
DECODED = ("squares.jpg", "halves.jpg", "cmyk-halves.jpg")


def scene(width: int, height: int, channels: int, seed: int = 0) -> np.ndarray:
    """Smooth waves, a hard edge and some noise, in 0..1."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    x, y = x / width, y / height
    planes = []
    for channel in range(channels):
        wave = 0.5 + 0.4 * np.sin((4 + channel) * x + (7 - channel) * y + channel)
        edge = np.where(x + 0.5 * y > 0.7, 0.25, 0.0)
        planes.append(np.clip(wave * 0.75 + edge + 0.04 * random.standard_normal(x.shape), 0, 1))
    return np.stack(planes, -1)


def bytes8(values: np.ndarray) -> np.ndarray:
    return np.round(values * 255).astype(np.uint8)


def png16(values: np.ndarray) -> bytes:
    """A 16-bit colour PNG, which PIL reads but does not write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.round(values * 65535).astype(np.uint16))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pictures() -> dict[str, bytes]:
    def plain(width, height, channels, mode):
        return Image.fromarray(bytes8(scene(width, height, channels)).squeeze(), mode)

    grey16 = Image.fromarray(np.round(scene(40, 27, 1)[..., 0] * 65535).astype(np.uint16))
    ring = np.hypot(*(np.mgrid[0:38, 0:45] - np.array([19, 22]).reshape(2, 1, 1)))
    faded = bytes8(scene(45, 38, 4))
    faded[..., 3] = np.clip(255 - 12 * np.abs(ring - 12), 0, 255)
    hole = np.where((ring > 8)[..., None], bytes8(scene(45, 38, 3)), 0)
    palette = Image.fromarray(hole.astype(np.uint8), "RGB").quantize(31)
    colours = np.random.default_rng(1).choice([0, 255], (6, 9, 3)).astype(np.uint8)
    squares = Image.fromarray(colours.repeat(7, axis=0).repeat(5, axis=1))
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "landscape.png": encoded(plain(67, 41, 3, "RGB"), "PNG"),
        "portrait.png": encoded(plain(29, 83, 3, "RGB"), "PNG"),
        "tiny.png": encoded(plain(9, 7, 3, "RGB"), "PNG"),
        "strip.png": encoded(plain(101, 5, 3, "RGB"), "PNG"),
        "same.png": encoded(plain(24, 24, 3, "RGB"), "PNG"),
        "rgba.png": encoded(Image.fromarray(faded, "RGBA"), "PNG"),
        "grey.png": encoded(plain(33, 52, 1, "L"), "PNG"),
        "grey-alpha.png": encoded(plain(31, 26, 2, "LA"), "PNG"),
        "grey16.png": encoded(grey16, "PNG"),
        "rgb16.png": png16(scene(37, 50, 3)),
        "palette.png": encoded(palette, "PNG"),
        "photo.jpg": encoded(plain(66, 43, 3, "RGB"), "JPEG", quality=95),
        "cmyk.jpg": encoded(plain(51, 39, 4, "CMYK"), "JPEG", quality=95),
        "cmyk-halves.jpg": encoded(plain(51, 39, 4, "CMYK"), "JPEG", quality=90, subsampling=2),
        "squares.jpg": encoded(squares, "JPEG", quality=75, subsampling=2),
        "halves.jpg": encoded(plain(39, 57, 3, "RGB"), "JPEG", quality=85, subsampling=1, progressive=True),
        "grey.jpg": encoded(plain(33, 29, 1, "L"), "JPEG", quality=60),
        "turned.jpg": encoded(plain(47, 30, 3, "RGB"), "JPEG", quality=95, subsampling=0, exif=turned),
    }


def opened(data: bytes) -> Image.Image:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8), "L")
    return image.convert("RGB") if image.mode in ("P", "CMYK") else image


def on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image).convert("RGB")


def clip(image: Image.Image, interpolation: str) -> Image.Image:
    resize, crop, to_rgb, *_ = image_transform(SIZE, is_train=False, interpolation=interpolation).transforms
    return to_rgb(crop(resize(image)))


def padded(image: Image.Image) -> Image.Image:
    fill = WHITE if image.convert("RGBA").getextrema()[3][0] < 255 else IMAGENET_MEAN
    resized = ResizeKeepRatio(SIZE, longest=1, interpolation="bicubic")(on_white(image))
    return CenterCropOrPad(SIZE, fill=fill)(resized)


def sheet(image: Image.Image) -> Image.Image:
    squashed = on_white(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    panels = [clip(image, "bicubic"), clip(image, "bilinear"), squashed, padded(image)]
    whole = Image.new("RGB", (SIZE * len(panels), SIZE))
    for index, panel in enumerate(panels):
        assert panel.size == (SIZE, SIZE), panel.size
        whole.paste(panel, (SIZE * index, 0))
    return whole


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, data in pictures().items():
        (FOLDER / name).write_bytes(data)
        stem = name.replace(".", "-")
        sheet(opened(data)).save(FOLDER / f"{stem}.sheet.png")
        if name in DECODED:
            opened(data).convert("RGB").save(FOLDER / f"{stem}.decoded.png")
    landscape = opened((FOLDER / "landscape.png").read_bytes())
    tensor = image_transform(SIZE, is_train=False)(landscape)
    # Of the sheets too.
    reference = ", ".join(map(version, ("pillow", "torchvision", "open_clip_torch", "timm")))
    save("preprocess-clip", {"out.normalised": tensor}, "pictures", reference)
