"""State on disk: written atomically, checked when loaded, with the previous one kept.

    emprune.checkpoint.save(pruner, "run.state")       # in the training loop, after optimizer.step()
    emprune.checkpoint.restore(pruner, "run.state")    # before the loop, in a later process

Model and pruner must go on from the same step. Where the model is saved by other means, put
``pruner.state_dict()`` into its checkpoint; or put the model's tensors, under names of their own, beside the
pruner's into one :func:`save_state`.

From the end of the first save on ``PATH`` is there, whole, at every instant; from the second on ``PATH.previous``,
the save before it, too. See :mod:`emprune.atomic` for how. Loading takes ``PATH`` alone and raises where it
is missing or damaged; ``PATH.previous`` is taken only if asked for, and said, since the model must be as old.

Memory at N samples: saving needs what ``Pruner.state_dict()`` copies, 16 bytes a sample, 4 for each column of the
policy's and 12 for each planned one, and nothing beyond it. Loading holds the file twice while it makes the
tensors, then once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from emprune.atomic import atomic_write, previous_of
from emprune.checkpoint.fingerprint import fingerprint_of
from emprune.checkpoint.format import read, write
from emprune.checkpoint.rank_files import check_ranks, consistent_state, rank_path
from emprune.distributed.world import raise_together
from emprune.errors import EmpruneError, StateError
from emprune.overrides import OVERRIDABLE, allowed_fields
from emprune.pruner import Pruner

__all__ = ["OVERRIDABLE", "fingerprint_of", "load_state", "restore", "save", "save_state"]


def save(
    pruner: Pruner,
    path: str | os.PathLike[str],
    *,
    dataset_fingerprint: str | None = None,
    batch_size: int | None = None,
) -> Path:
    """Save a pruner's state, in mid-epoch too; the state saved before stays as ``PATH.previous``.

    Of several ranks all must call it; the first one writes, and all return when the file is whole. Where the table is
    partitioned each rank writes its own rows, to ``PATH.rank-R-of-W``.

    Args:
        pruner: its training steps so far are saved; batches that were only fetched come again.
        dataset_fingerprint: what identifies the data set, e.g. from :func:`fingerprint_of`; compared by
            :func:`restore`.
        batch_size: samples of this rank in a step; what is compared is that of all ranks together.

    Returns:
        The path of the file that holds this rank's state.

    Raises:
        StateError: the file cannot be written; what was saved before is whole. The same on every rank.
        NonFiniteError: a loss of this epoch was not finite (on_nonfinite="error").
        EmpruneError: the package safetensors is missing.
    """
    failure, state = None, pruner.state_dict()
    own = rank_path(Path(path), pruner.table.owned)
    if pruner.world.rank == 0 or pruner.is_partitioned:
        try:
            save_state(own, {**state, "run": _run_settings(pruner, dataset_fingerprint, batch_size)})
        except EmpruneError as error:
            failure = error
    raise_together(pruner.world, failure)
    return own


def restore(
    pruner: Pruner,
    path: str | os.PathLike[str],
    *,
    dataset_fingerprint: str | None = None,
    batch_size: int | None = None,
    allow: Collection[str] = (),
    fall_back: bool = False,
) -> dict[str, tuple[Any, Any]]:
    """Let a pruner go on where :func:`save` was called: exactly, or with the changes that ``allow`` names.

    Of several ranks all must call it, and all must see the file.

    Args:
        pruner: built as the saved one was.
        dataset_fingerprint, batch_size: must be those given to :func:`save`, or left out there and here.
        allow: fields of ``emprune.checkpoint.OVERRIDABLE`` that may differ from the saved ones. The running epoch keeps
            its saved plan; what differs holds from the next epoch on, and the epochs that have begun keep what they
            kept: ``pruner.kept`` has their counts and then those of the new settings, annealing at the new end. With
            ``budget="run"`` what they have trained counts, and the whole run, extended, meets its budget exactly.
            An in-batch policy, which has no plan, can change between epochs only. Another ``batch_size`` cuts the
            same ids and weights differently, at once. With ``num_samples`` the data set may have grown, by samples at
            its end, which count as never seen; what identifies it is then another, and not compared.
        fall_back: as for :func:`load_state`; model and optimizer must then be as old.

    Returns:
        The fields of ``allow`` that do differ: their saved value and the one here, by name.

    Raises:
        StateError: the file cannot be loaded, or was saved by a pruner with other settings (the message
            names the field and both values); the pruner is left as it was. The same on every rank.
        ArgumentError: a field in ``allow`` cannot differ.
    """
    allow = allowed_fields(allow)
    failure, state, owned = None, {}, pruner.table.owned
    own = rank_path(Path(path), owned)
    try:
        check_ranks(Path(path), owned)
        state = load_state(own, fall_back=fall_back)
    except EmpruneError as error:
        failure = error
    raise_together(pruner.world, failure)
    state = consistent_state(state, owned, previous_of(own) if fall_back else None, load_state)
    run, run_here = state.pop("run", None) or {}, _run_settings(pruner, dataset_fingerprint, batch_size)
    try:
        _check_run(run, run_here, allow, same_length=_num_samples(state) == pruner.num_samples)
    except EmpruneError as error:
        failure = error
    raise_together(pruner.world, failure)
    pruner.load_state_dict(state, allow=allow)
    saved, here = {**state["fingerprint"], **run}, {**pruner.fingerprint, **run_here}
    return {
        field: (saved.get(field), here[field])
        for field in sorted(allow & here.keys())
        if saved.get(field) != here[field]
    }


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> Path:
    """Write a state to ``path`` atomically; the file there becomes ``PATH.previous``.

    Args:
        path: the file's name; its folder must exist.
        state: flat: name → tensor, or a JSON value (nested lists and dicts with text keys).

    Returns:
        The path.

    Raises:
        StateError: the state holds something else, or the file cannot be written; what was saved before is
            whole.
        EmpruneError: the package safetensors is missing.
    """
    path = Path(path)
    try:
        atomic_write(path, lambda new: write(new, state), keep_previous=True)
    except OSError as error:
        raise StateError(
            f"the state cannot be saved to {path}: {error}. {_room(path, state)}What was saved there before is still "
            "whole; make room, or save to an existing folder that can be written."
        ) from error
    return path


def _room(path: Path, state: Mapping[str, Any]) -> str:
    """What the tensors need and what is free, as a sentence; nothing where that cannot be said."""
    needed = sum(value.nbytes for value in state.values() if isinstance(value, torch.Tensor))
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        return f"It needs {needed / 1e6:.3f} MB and a little more; {free / 1e6:.3f} MB are free there. "
    return ""


def load_state(path: str | os.PathLike[str], *, fall_back: bool = False) -> dict[str, Any]:
    """Read what :func:`save_state` wrote, checked by its digest; nothing is unpickled.

    Args:
        path: as given when saving.
        fall_back: where the file is missing or cannot be read, warn and load ``PATH.previous`` instead.
            Otherwise, and where that cannot be read either, it is an error.

    Returns:
        The state, tensors on the CPU.

    Raises:
        StateError: the file is missing, foreign, damaged or of another version.
        EmpruneError: the package safetensors is missing.
    """
    path = Path(path)
    previous = previous_of(path)
    try:
        return _read_whole(path)
    except StateError as error:
        if not fall_back:
            hint = f" The one saved before it is {previous} (fall_back=True)." if previous.is_file() else ""
            raise StateError(f"{error}{hint}") from error
        try:
            state = _read_whole(previous)
        except StateError as worse:
            raise StateError(f"{error} Nor can the one before it be loaded: {worse}") from worse
        warnings.warn(f"{error} Going on from the one saved before it, {previous}.", stacklevel=2)
        return state


def _read_whole(path: Path) -> dict[str, Any]:
    if not path.is_file():
        found = "is no file" if path.exists() else "does not exist"
        raise StateError(f"{path} {found}; allowed: a file written by emprune.checkpoint.save or save_state.")
    try:
        with path.open("rb") as file:
            return read(file, os.fstat(file.fileno()).st_size, str(path))
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error}.") from error


def _run_settings(pruner: Pruner, dataset_fingerprint: str | None, batch_size: int | None) -> dict[str, Any]:
    whole = None if batch_size is None else batch_size * pruner.world.size
    return {"dataset_fingerprint": dataset_fingerprint, "batch_size": whole}


def _num_samples(state: Mapping[str, Any]) -> object:
    settings = state.get("fingerprint")
    return settings.get("num_samples") if isinstance(settings, Mapping) else None


def _check_run(saved: object, here: Mapping[str, Any], allow: Collection[str], *, same_length: bool) -> None:
    if not isinstance(saved, Mapping):
        raise StateError(f"the state's run is a {type(saved).__name__}; allowed: a dict.")
    if not same_length:  # the pruner allows or refuses that, in words that say what to do
        allow = {*allow, "dataset_fingerprint"}
    for field, value in here.items():
        if value != saved.get(field) and field not in allow:
            raise StateError(
                f"{field} is {value!r} here, but the state was saved with {saved.get(field)!r}. Give what was given "
                f"when saving, or allow={{{field!r}}} if the run may go on with another."
            )
