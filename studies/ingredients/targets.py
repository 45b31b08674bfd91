"""Targets softened by what the network predicted of a sample before: a memory in the literal sense."""

from __future__ import annotations

import torch
from torch.nn import functional as F


class Predictions:
    """The last prediction of every sample: its highest probabilities in half precision, and their classes.

    What the others have together is spread evenly over them. A sample without any prediction has its label.

    Args:
        labels: int64, shape [N], those trained on.
        num_classes: C ≥ 2.
        top: probabilities kept of each sample; all where C is smaller. They take 3·top bytes a sample, 4·top from 257
            classes on.
    """

    def __init__(self, labels: torch.Tensor, num_classes: int, top: int = 5) -> None:
        top, number = min(top, num_classes), len(labels)
        self._labels, self.num_classes = labels, num_classes
        self._seen = torch.zeros(number, dtype=torch.bool)
        self._values = torch.zeros(number, top, dtype=torch.float16)
        self._classes = torch.zeros(number, top, dtype=torch.uint8 if num_classes <= 256 else torch.int16)

    def store(self, ids: torch.Tensor, logits: torch.Tensor) -> None:
        """Keep what the network says of these samples.

        Args:
            ids: int64, shape [B]. logits: float32, shape [B, C].
        """
        values, classes = logits.detach().softmax(dim=1).topk(self._values.shape[1], dim=1)
        self._values[ids], self._classes[ids] = values.half(), classes.to(self._classes.dtype)
        self._seen[ids] = True

    def probabilities(self, ids: torch.Tensor) -> torch.Tensor:
        """float32, shape [B, C], at least 0, rows summing to 1."""
        values, classes = self._values[ids].float(), self._classes[ids].long()
        rest = (1 - values.sum(dim=1, keepdim=True)).clamp_min(0)
        others = max(self.num_classes - values.shape[1], 1)
        found = (rest / others).expand(-1, self.num_classes).scatter(1, classes, values)
        found = found / found.sum(dim=1, keepdim=True)
        return torch.where(self._seen[ids, None], found, F.one_hot(self._labels[ids], self.num_classes).float())


def softened(labels: torch.Tensor, earlier: torch.Tensor, part: float) -> torch.Tensor:
    """(1 - α)·onehot + α·earlier prediction (PS-KD; Kim et al., arXiv:2006.12000, eq. 4).

    The paper keeps the whole model of the epoch before and asks it once more; here the sample's last prediction in
    training stands for it, which costs no forward pass but is of another view, and older the rarer a sample is trained.

    Args:
        labels: int64, shape [B].
        earlier: float32, shape [B, C], rows summing to 1.
        part: α in [0, 1].

    Returns:
        float32, shape [B, C], rows summing to 1.
    """
    return torch.lerp(F.one_hot(labels, earlier.shape[1]).float(), earlier, part)


def part_of(final: float, epoch: int, num_epochs: int) -> float:
    """α of an epoch, which grows linearly up to ``final`` in the last one (eq. 5 of the paper).

    Args:
        epoch: from 0 to num_epochs - 1.

    >>> part_of(0.8, 0, 4), part_of(0.8, 3, 4)
    (0.2, 0.8)
    """
    return final * (epoch + 1) / num_epochs
