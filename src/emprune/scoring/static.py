"""Scores of a trained or half-trained model for choosing one fixed subset: how hard each sample is.

Every function returns float32, shape [B], on the logits' device and without gradient; **higher means
harder, and is kept first**. The fourth score of uncertainty sampling, the entropy of the prediction, is the
memory term of :func:`emprune.scoring.classification`; how often a sample is forgotten is counted along
training by :class:`emprune.scoring.forgetting.Forgetting`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.func import grad as gradient
from torch.nn import functional as F

from emprune.errors import ArgumentError
from emprune.scoring.targets import check_class_indices, check_logits


def el2n(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """EL2N: length of the error vector, ‖softmax(logits) - onehot(label)‖₂.

    Paul et al. 2021, arXiv:2107.07075, section 2.2. There it is the mean over several runs, taken a few
    epochs into training; this is one model's; average the returned values for the mean.

    Args:
        logits: floating point, shape [B, C]; computed in float32.
        labels: int64, shape [B], in [0, C).

    Returns:
        Between 0 and √2.

    Raises:
        ArgumentError: shapes or dtypes do not fit, or, on the CPU, a label is not among the classes.

    >>> el2n(torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.tensor([0, 1]))
    tensor([0.7071, 1.4140])
    """
    length: torch.Tensor = torch.linalg.vector_norm(_error(logits, labels), dim=1)
    return length


def grand_last_layer(logits: torch.Tensor, labels: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """GraNd of a last linear layer with bias: norm of the loss's gradient with respect to it.

        logits = W·h + b:    ‖∂L/∂(W, b)‖₂ = ‖softmax(logits) - onehot(label)‖₂ · √(‖h‖² + 1)

    L is the cross-entropy without label smoothing. DeepCore (Guo et al. 2022, arXiv:2204.08499) computes
    GraNd so; the paper's is over all parameters: :func:`grand`.

    Args:
        logits, labels: as for :func:`el2n`.
        hidden: h, floating point, shape [B, D], the layer's input.

    Returns:
        At least 0.

    Raises:
        ArgumentError: shapes or dtypes do not fit, or, on the CPU, a label is not among the classes.
    """
    if hidden.ndim != 2 or len(hidden) != len(logits) or not hidden.is_floating_point():
        found = f"{hidden.dtype} of shape {tuple(hidden.shape)}"
        raise ArgumentError("hidden", found, f"the layer's input, floating point of shape [{len(logits)}, D]")
    length = (hidden.detach().float().square().sum(dim=1) + 1).sqrt()
    return el2n(logits, labels) * length


def grand(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, *, chunk_size: int = 32) -> torch.Tensor:
    """GraNd: norm of each sample's loss gradient with respect to all parameters that are trained.

    Paul et al. 2021, arXiv:2107.07075, definition 2.1, for one model; the paper's is the expectation over
    initialisations. Departure: layers are in evaluation mode here, because with a batch's own statistics
    (batch norm) a sample has no gradient of its own. The modes are put back afterwards.

    Args:
        model: from images to logits [B, C]; anything that ``torch.func`` can call.
        images: shape [B, ...].
        labels: int64, shape [B], in [0, C).
        chunk_size: so many samples' gradients are held at once: 4·chunk_size bytes a parameter.

    Returns:
        At least 0.

    Raises:
        ArgumentError: the labels do not fit, or the chunk size is below 1.
    """
    if labels.dtype != torch.int64 or labels.shape != (len(images),):
        raise ArgumentError("labels", f"{labels.dtype} of shape {tuple(labels.shape)}", f"int64, shape [{len(images)}]")
    if chunk_size < 1:
        raise ArgumentError("chunk_size", chunk_size, "an integer of at least 1")
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    others = {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad}
    fixed = others | dict(model.named_buffers())

    def loss(parameters: dict[str, torch.Tensor], image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        logits = functional_call(model, parameters | fixed, (image[None],))
        return F.cross_entropy(logits.float(), label[None])

    def squared_norm(image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        gradients = gradient(loss)(trained, image, label)
        return torch.stack([part.float().square().sum() for part in gradients.values()]).sum()

    with _evaluating(model):
        squared: torch.Tensor = vmap(squared_norm, chunk_size=chunk_size)(images, labels)
    return squared.sqrt()


def margin(logits: torch.Tensor) -> torch.Tensor:
    """One minus the gap between the two likeliest classes: 1 - (p₍₁₎ - p₍₂₎).

    Margin sampling, as in Coleman et al. 2020 (selection via proxy, arXiv:1906.11829) and DeepCore (Guo et
    al. 2022, arXiv:2204.08499), turned round so that higher means less certain. No label is used.

    Args:
        logits: floating point, shape [B, C], C ≥ 2; computed in float32.

    Returns:
        Between 0 (certain) and 1 (two classes equally likely).

    Raises:
        ArgumentError: the shape or dtype does not fit.
    """
    check_logits(logits)
    two = torch.softmax(logits.detach().float(), dim=1).topk(2, dim=1).values
    return 1 - (two[:, 0] - two[:, 1])


def least_confidence(logits: torch.Tensor) -> torch.Tensor:
    """One minus the probability of the likeliest class: 1 - max p.

    As in Coleman et al. 2020 (arXiv:1906.11829). DeepCore's released code ranks by the largest logit
    instead, which orders samples of different scale otherwise. No label is used.

    Args:
        logits: as for :func:`margin`.

    Returns:
        Between 0 and 1 - 1/C.

    Raises:
        ArgumentError: the shape or dtype does not fit.
    """
    check_logits(logits)
    return 1 - torch.softmax(logits.detach().float(), dim=1).amax(dim=1)


def wrong_margin(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How far the likeliest wrong class is ahead of the label: max_{j ≠ y} p_j - p_y.

    Summed over a run's training steps it is minus the area under the margin (AUM) by which CCS ranks
    (Zheng et al. 2023, arXiv:2210.15809, whose released code takes probabilities, as here, where AUM's own
    paper takes logits), and minus the margin of Paul et al.'s code at one checkpoint.

    Args:
        logits, labels: as for :func:`el2n`, C ≥ 2.

    Returns:
        Between -1 (certain and right) and 1 (certain and wrong).

    Raises:
        ArgumentError: shapes or dtypes do not fit, or, on the CPU, a label is not among the classes.
    """
    check_class_indices(logits, labels)
    probabilities = torch.softmax(logits.detach().float(), dim=1)
    own = labels[:, None]
    others = probabilities.scatter(1, own, -1.0)
    return others.amax(dim=1) - probabilities.gather(1, own)[:, 0]


def _error(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """softmax(logits) - onehot(labels), float32, shape [B, C]."""
    check_class_indices(logits, labels)
    minus_one = torch.full((len(labels), 1), -1.0, device=logits.device)
    return torch.softmax(logits.detach().float(), dim=1).scatter_add(1, labels[:, None], minus_one)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
