"""How a run's steps are executed: as they come, through torch.compile, or as a CUDA graph of the full batches."""

from __future__ import annotations

from collections.abc import Callable

import torch

from emprune_lab.data.resident import ResidentImages
from emprune_lab.specs.recipe import Mode
from emprune_lab.tasks import Scores, Task
from emprune_lab.tasks.classification import ClassificationTask, LabelledBatch

_WARM_UP = 3


def without_graph(mode: Mode) -> Mode:
    """The mode where nothing can be captured."""
    return "compile" if mode.startswith("compile") else "plain"


def has_resident_images(task: Task) -> bool:
    """Whether batches are picked on the device, by ids that lie there."""
    return isinstance(getattr(task, "inputs", None), ResidentImages)


def can_capture(task: Task) -> bool:
    """Whether all full batches are alike to the device: one shape, nothing drawn, nothing looked at."""
    return isinstance(task, ClassificationTask) and has_resident_images(task)


class CapturedStep:
    """Forward, loss and backward of full batches, on tensors that stay where they are.

    On CUDA the first call captures a CUDA graph, which this and all further calls replay. On a CPU each call executes
    the same function on the same tensors.

    Args:
        task: one that :func:`can_capture` allows.
        inputs: names of the values that the policy reads.
        batch_size: of a full batch.
    """

    def __init__(self, task: ClassificationTask, inputs: tuple[str, ...], batch_size: int) -> None:
        self._task, self._reads, self._size = task, inputs, batch_size
        self._parameters = list(task.model.parameters())
        self._gradients: list[torch.Tensor | None] = []
        self._execute: Callable[[], None] | None = None

    def fits(self, batch: LabelledBatch) -> bool:
        """Whether the batch is a full one."""
        return len(batch.labels) == self._size

    def __call__(self, batch: LabelledBatch, weights: torch.Tensor | None) -> Scores:
        """Leave the gradient of the weighted mean loss in the parameters.

        Args:
            weights: float32, shape [B], factor of each sample's loss, on the device; None: 1.

        Returns:
            The scores, without gradient; the next call overwrites them.
        """
        if self._execute is None:
            self._inputs, self._labels = batch.inputs.clone(), batch.labels.clone()
            self._weights = torch.ones(self._size, device=self._labels.device)
            self._execute = self._captured() if self._labels.is_cuda else self._compute
        self._inputs.copy_(batch.inputs)
        self._labels.copy_(batch.labels)
        if weights is None:
            self._weights.fill_(1)
        else:
            self._weights.copy_(weights)
        self._execute()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._scores

    def _compute(self) -> None:
        """What is captured: reads and writes nothing but tensors that stay in place."""
        for parameter in self._parameters:
            parameter.grad = None
        scores = self._task.forward(LabelledBatch(self._inputs, self._labels), self._reads)
        (scores.loss * self._weights).mean().backward()  # type: ignore[no-untyped-call]
        self._gradients = [parameter.grad for parameter in self._parameters]
        logits = None if scores.logits is None else scores.logits.detach()
        self._scores = scores._replace(loss=scores.loss.detach(), logits=logits)

    def _captured(self) -> Callable[[], None]:
        """The computation as a graph. cuDNN chooses its algorithms in the steps before, which leave no trace."""
        model, before = self._task.model, torch.backends.cudnn.benchmark
        state = {name: values.clone() for name, values in model.state_dict().items()}
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        graph = torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        torch.backends.cudnn.benchmark = True
        try:
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP):
                    self._compute()
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(graph):
                self._compute()
        finally:
            torch.backends.cudnn.benchmark = before
        model.load_state_dict(state)
        return graph.replay
