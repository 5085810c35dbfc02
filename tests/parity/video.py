"""Animations, and the frames that PIL shows at given moments: `fixtures/video`.

Every animation has frames that cover a part of the picture only, transparency, every way to dispose of a frame, and
delays from 0 (a tenth of a second, as in browsers) to more than a second. For each rule of `RULES` a sheet has the
frames that it reads, side by side. `origin.json` says what PIL this is.
"""

import json
import math

import numpy as np
from PIL import Image, ImageDraw

from common import FIXTURES, version

FOLDER = FIXTURES / "video"
SIZE = (20, 14)
# In milliseconds; a GIF counts in tens of them.
DELAYS = [40, 0, 10, 200, 1000, 330, 70, 20, 1500, 400, 90, 610, 300, 50]
# Frames per second, most frames, and the place of the window (None: the whole clip).
RULES = {"prompt": (1, 30, None), "fast": (25, 200, None), "few": (1, 3, None), "end": (3, 4, 1.0), "middle": (2, 4, 0.5)}


def drawing(index: int, soft: bool) -> Image.Image:
    """A few colours only, so that a GIF's palette holds them all; `soft`: with half transparent ones.

    A corner is always transparent: PIL takes an animation whose first frame has no transparency for one that has none.
    """
    image = Image.new("RGBA", SIZE)
    draw = ImageDraw.Draw(image)
    if index % 3 == 0:
        draw.rectangle((2, 0, 19, 12), fill=(40, 90, 20 * (index % 4), 150 if soft and index % 2 else 255))
    draw.rectangle((index, index // 2, index + 5, index // 2 + 6), fill=(250 - 16 * index, 30, 16 * index, 255))
    draw.line((0, 13 - index % 5, 19, index % 7), fill=(255, 255, 255, 100 if soft else 255))
    return image


def animations() -> None:
    common = {"save_all": True, "duration": DELAYS, "loop": 0}
    first, *rest = [drawing(index, soft=False) for index in range(len(DELAYS))]
    disposal = [1, 2, 3, 1, 2, 2, 1, 1, 3, 2, 1, 2, 2, 1]
    first.save(FOLDER / "walk.gif", append_images=rest, disposal=disposal, **common)
    # Two corners of the PNG standard are left out. PIL mixes the opacities of half transparent pixels as if they were
    # colours; and `image` restores too much for 2 (as before) directly after 1 (transparent).
    disposal = [0, 1, 0, 2, 0, 1, 1, 0, 2, 1, 0, 2, 0, 0]
    first.save(FOLDER / "walk.png", append_images=rest, disposal=disposal, blend=[0, 1] * 7, **common)
    first, *rest = [drawing(index, soft=True) for index in range(len(DELAYS))]
    first.save(FOLDER / "walk.webp", append_images=rest, lossless=True, **common)


def opened(path) -> tuple[list[Image.Image], list[float]]:
    """All frames, and their delays in milliseconds."""
    image, frames, delays = Image.open(path), [], []
    for index in range(image.n_frames):
        image.seek(index)
        frames.append(image.convert("RGBA"))
        delay = image.info["duration"]
        delays.append(delay if delay > 10 else 100)
    return frames, delays


def moments(duration: float, fps: float, most: int, window: float | None) -> list[float]:
    """In milliseconds."""
    count = max(math.ceil(duration * fps / 1000 - 1e-6), 1)
    if count <= most:
        return [1000 * index / fps for index in range(count)]
    if window is None:
        return [duration * index / most for index in range(most)]
    first = math.floor(window * (count - most) + 0.5)
    return [1000 * (first + index) / fps for index in range(most)]


def shown(delays: list[float], moment: float) -> int:
    end = 0.0
    for index, delay in enumerate(delays):
        end += delay
        if moment + 0.5 < end:
            return index
    return len(delays) - 1


def visible(image: Image.Image) -> Image.Image:
    """Transparent pixels have no colour."""
    pixels = np.asarray(image).copy()
    pixels[pixels[..., 3] == 0] = 0
    return Image.fromarray(pixels, "RGBA")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    animations()
    origin = {"part": "pictures that move", "reference": version("pillow")}
    (FOLDER / "origin.json").write_text(json.dumps(origin) + "\n")
    for path in sorted(FOLDER.glob("walk.*")):
        frames, delays = opened(path)
        print(path.name, path.stat().st_size, "bytes, delays", delays)
        for rule, (fps, most, window) in RULES.items():
            indices = [shown(delays, moment) for moment in moments(sum(delays), fps, most, window)]
            print(" ", rule, indices)
            sheet = Image.new("RGBA", (SIZE[0] * len(indices), SIZE[1]))
            for column, index in enumerate(indices):
                sheet.paste(visible(frames[index]), (SIZE[0] * column, 0))
            sheet.save(FOLDER / f"{path.suffix[1:]}.{rule}.sheet.png")
