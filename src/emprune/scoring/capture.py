"""Capture: what a model's named layers give in its forward passes, for memory terms read from hidden layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import nn

from emprune.checks import integer
from emprune.compiling import outside_graphs
from emprune.errors import ArgumentError
from emprune.scoring.submodules import find_modules, unwrapped

Pool = Callable[[Any], torch.Tensor]

_UNUSED = object()  # not None: torch.compile compares a tuple of constants by value, and would compile anew for it


class Capture:
    """Features of a model's named layers, caught by forward hooks until :meth:`close` or the end of a ``with``.

        with Capture(model, ("layer4",) if "memory" in pruner.policy.inputs else ()) as capture:
            ...
            projected = model(views)  # both views in one batch, [2B, ...]
            features = capture.take()["layer4"]  # [2B, D]

    Captured are forward passes of ``model`` itself, in training mode, with or without gradient (a momentum encoder's).
    Not captured are passes of its parts alone, what a backward pass recomputes (``torch.utils.checkpoint``),
    evaluation, and passes that raised an error. Features are copies without gradient. They are kept until
    :meth:`take`, those of at most ``max_passes`` passes, so that memory is bounded where nobody calls it.

    With torch.compile and DistributedDataParallel, give the model wrapped or not, and call it wrapped. The hooks become
    a part of the compiled graph, which they neither break nor compile anew, however passes and takes alternate. But
    build the Capture before a compiled model is called first: hooks that come later are not seen until
    ``torch.compiler.reset()``. A layer inside a checkpointed part can be captured in models that are not compiled.

    Args:
        model: whose forward passes are captured.
        layers: names of submodules as in ``model.named_modules()``, without the ``module.`` and ``_orig_mod.`` that
            wrappers put in. If empty, no hook is registered and :meth:`take` returns an empty dict.
        pool: from what a layer gives to [B, D], floating point; for instance ``lambda output: output[0].mean(1)`` where
            it is a tuple. None: the mean over all axes but those of batch and channels. The channels are axis 1 of
            feature maps (four axes or more, [B, C, H, W]) and the last axis of sequences, [B, T, D]; [B, D] stays as
            it is. Other layouts, as [B, C, T] of Conv1d and padded sequences, need a pool.
        in_eval: capture passes in evaluation mode too.
        max_passes: how many forward passes may lie between two takes, at least 1.

    Raises:
        ArgumentError: a layer does not exist (the message names the nearest), or an argument is out of range. In a
            forward pass: a layer gives no floating point tensor with a batch axis, or is used twice.

    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.LazyLinear(2))
    >>> with Capture(model, ["0"]) as capture:
    ...     projected = model(torch.ones(8, 1, 5, 5))
    ...     capture.take()["0"].shape
    torch.Size([8, 4])
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str],
        *,
        pool: Pool | None = None,
        in_eval: bool = False,
        max_passes: int = 16,
    ) -> None:
        modules = find_modules(model, layers)
        self._max_passes = max_passes = integer("max_passes", max_passes, 1)
        running = _Pass(in_eval)
        self._layers = running.layers = [_Layer(name, running, pool, max_passes) for name in modules]
        self._handles = [
            module.register_forward_hook(layer.keep)
            for layer, module in zip(self._layers, modules.values(), strict=True)
        ]
        if modules:
            root = unwrapped(model)
            self._handles.append(root.register_forward_pre_hook(running.begin))
            self._handles.append(root.register_forward_hook(running.end))

    @outside_graphs
    def take(self) -> dict[str, torch.Tensor]:
        """What was captured since the last take; it is then forgotten, also where this raises an error.

        Returns:
            For each layer, by the name given: float32, shape [B, D], on the layer's device, without gradient; B counts
            the samples of all forward passes since, in the order of the calls.

        Raises:
            ArgumentError: nothing was captured, a layer was not reached in each pass, there were more than
                ``max_passes`` passes, or they gave features of different D.
        """
        taken = {layer.name: layer.take() for layer in self._layers}
        _check_passes(taken, self._max_passes)
        return {name: parts[0] if len(parts) == 1 else torch.cat(parts) for name, parts in taken.items()}

    @outside_graphs
    def close(self) -> None:
        """Remove the hooks and forget what was captured; more than once does no harm."""
        for handle in self._handles:
            handle.remove()
        for layer in self._layers:
            layer.clear()

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Pass:
    """The model's forward pass, by which the layers know whether to keep their output.

    Attributes:
        runs: whether a pass runs that is to be captured.
        layers: all that are captured.
    """

    def __init__(self, in_eval: bool, *, never: bool = False) -> None:
        self.in_eval, self.never, self.runs = in_eval, never, False
        self.layers: list[_Layer] = []

    def __deepcopy__(self, memo: Any) -> _Pass:
        """Hooks are copied with their model, as where a momentum encoder is made of it; nobody can take theirs."""
        return _Pass(self.in_eval, never=True)

    def begin(self, model: nn.Module, _: Any) -> None:
        for layer in self.layers:
            if self.runs and layer.reached:  # the pass before ended in an error
                layer.recent = (*layer.recent[1:], _UNUSED)
            layer.reached = False
        self.runs = (model.training or self.in_eval) and not self.never and not _in_backward()

    def end(self, model: nn.Module, _: Any, output: Any) -> None:
        self.runs = False


class _Layer:
    """What one layer gave in the last forward passes.

    Attributes:
        recent: the newest first; one place more than may be used. Its length never changes, and there is no counter:
            torch.compile would compile anew for each length and each count.
        reached: whether the running pass has come by.
    """

    def __init__(self, name: str, running: _Pass, pool: Pool | None, max_passes: int) -> None:
        self.name, self.running, self.pool, self.max_passes = name, running, pool, max_passes
        self.reached = False
        self.clear()

    def __deepcopy__(self, memo: Any) -> _Layer:
        return _Layer(self.name, copy.deepcopy(self.running, memo), self.pool, self.max_passes)

    def clear(self) -> None:
        self.recent: tuple[Any, ...] = (_UNUSED,) * (self.max_passes + 1)

    def keep(self, module: nn.Module, _: Any, output: Any) -> None:
        if not self.running.runs:
            return
        if self.reached:
            raise ArgumentError(
                "layers", self.name, "layers that a forward pass uses once; this one is used again",
                "Give each use a module of its own, nn.ReLU() or nn.Identity() for instance, and name one of them.",
            )  # fmt: skip
        with torch.no_grad():
            features = _averaged(self.name, output) if self.pool is None else self.pool(output)
            _check_features(self.name, features)
            # A copy: what follows may change the output in place, as nn.ReLU(inplace=True) does.
            kept = features.to(torch.float32, copy=True)
        self.recent = (kept, *self.recent[:-1])
        self.reached = True

    def take(self) -> list[torch.Tensor]:
        """[B, D] of each pass, the first one first."""
        parts = [part for part in self.recent if part is not _UNUSED]
        self.clear()
        return parts[::-1]


def _averaged(name: str, output: Any) -> torch.Tensor:
    """[B, D] from a layer's output: the mean over all axes but batch and channels, in float32."""
    if not isinstance(output, torch.Tensor):
        raise ArgumentError(
            f"output of layer {name}", type(output).__name__, "a tensor with a batch axis",
            "Name a layer that gives a tensor, or pick one by pool=lambda output: output[0].mean(1).",
        )  # fmt: skip
    if output.ndim <= 2 or not output.is_floating_point():
        return output
    axes = 1 if output.ndim == 3 else tuple(range(2, output.ndim))
    return output.mean(axes, dtype=torch.float32)


def _check_features(name: str, features: Any) -> None:
    """Raise unless they are floating point of shape [B, D]."""
    if isinstance(features, torch.Tensor):
        if features.ndim == 2 and features.is_floating_point():
            return
        found = f"{features.dtype} of shape {tuple(features.shape)}"
    else:
        found = type(features).__name__
    raise ArgumentError(
        f"output of layer {name}", found, "floating point of shape [B, D], [B, T, D] or [B, C, H, W]",
        "Name a layer before the batch axis is lost, or give a pool that returns [B, D].",
    )  # fmt: skip


def _check_passes(taken: dict[str, list[torch.Tensor]], max_passes: int) -> None:
    """Raise unless each layer was reached at least once, as often as the others, and gave the same D."""
    passes = max(map(len, taken.values()), default=0)
    if passes > max_passes:
        raise ArgumentError(
            "max_passes", max_passes, "at least the number of forward passes between two takes; there were more",
            "Call take() in every training step, and evaluate in evaluation mode.",
        )  # fmt: skip
    if taken and not passes:
        raise ArgumentError(
            "capture", "empty", "take() after a forward pass of the model in training mode",
            "Call the model itself, not a part of it nor model.forward, in training mode or with in_eval=True; and "
            "build the Capture before a compiled model is called first.",
        )  # fmt: skip
    for name, parts in taken.items():
        if len(parts) != passes:
            raise ArgumentError(
                "layers", name, f"layers that every forward pass reaches; this one was in {len(parts)} of {passes}"
            )  # fmt: skip
        widths = [part.shape[1] for part in parts]
        if len(set(widths)) > 1:
            raise ArgumentError(
                f"output of layer {name}", f"of {widths} features", "as many in each of the passes taken together",
                "Call take() after each forward pass.",
            )  # fmt: skip


def _in_backward() -> bool:
    """Whether autograd runs, as where a checkpointed model is computed again."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1
