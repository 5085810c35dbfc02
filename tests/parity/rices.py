"""The most similar of a support set: open_flamingo's `RICES.find`, and numpy where similarities are equal.

`in.support` `[N, E]` and `in.queries` `[Q, E]` stand for what its encoder makes of images; it makes unit vectors of them.
`out.nearest` are the places of the eight most similar, the most similar last. `in.twice` has rows that stand in it twice or
more: numpy's stable order, the first of equal ones counted as the more similar, gives `out.nearest_of_twice`.
"""

import sys
from pathlib import Path

import numpy as np
import open_flamingo
import torch

from common import generator, save, version

sys.path.insert(0, str(Path(open_flamingo.__file__).parent / "eval"))
from rices import RICES  # noqa: E402

N, Q, E, COUNT = 60, 7, 20, 8


class Encoder:
    """Images are their own features."""

    def eval(self):
        pass

    def encode_image(self, images):
        return images.clone()


def nearest(support: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    subject = object.__new__(RICES)
    subject.dataset, subject.device, subject.batch_size = range(len(support)), "cpu", 4
    subject.model, subject.image_processor = Encoder(), lambda image: image
    subject.features = support / support.norm(dim=-1, keepdim=True)
    return torch.tensor(subject.find(list(queries), COUNT))


def nearest_of_equal(support: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    unit = lambda rows: rows.double().numpy() / np.linalg.norm(rows.double().numpy(), axis=1, keepdims=True)
    # Rows that are equal must have equal similarities, which blocks of a matrix product do not promise.
    similarity = np.array([[np.dot(query, row) for row in unit(support)] for query in unit(queries)])
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :COUNT]
    return torch.tensor(order[:, ::-1].copy())


def main() -> None:
    random = generator(0)
    support, queries = (torch.randn(rows, E, generator=random) for rows in (N, Q))
    twice = support[torch.randint(N // 4, (N,), generator=random)]
    similarity = torch.nn.functional.normalize(queries) @ torch.nn.functional.normalize(support).T
    gaps = similarity.sort(dim=1).values[:, -COUNT - 1 :].diff(dim=1)
    assert gaps.min() > 1e-5, "rounding could decide"
    assert (nearest(support, queries) == nearest_of_equal(support, queries)).all()
    tensors = {
        "in.support": support,
        "in.queries": queries,
        "in.twice": twice,
        "out.nearest": nearest(support, queries),
        "out.nearest_of_twice": nearest_of_equal(twice, queries),
    }
    save("rices", tensors, "evaluation: similar examples", f"{version('open_flamingo')} RICES.find, {version('numpy')}")


if __name__ == "__main__":
    main()
