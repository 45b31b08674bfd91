"""What a softmax says of its positive, and how many passes over similarities that takes."""

from __future__ import annotations

import sys

import pytest
from naive_contrast import drawn

from emprune.scoring import contrastive


@pytest.mark.parametrize("memory_temperature", [0.5, 0.1])
def test_nothing_is_computed_that_nobody_wants(memory_temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes over similarities: one for the loss, which the projector's entropies share at the same temperature."""
    module = sys.modules["emprune.scoring.views.choices"]
    passes, plain = [], module.log_sum_exp
    monkeypatch.setattr(module, "log_sum_exp", lambda *a, **k: passes.append(k["entropy"]) or plain(*a, **k))
    first, second = drawn(6, 4)
    shared = memory_temperature == 0.5
    wanted = {"none": [False], "alignment": [False], "hidden": [False, True, True]}
    for memory, expected in {**wanted, "projector": [True] if shared else [False, True]}.items():
        passes.clear()
        layers = [(first, second), (second, first)]
        contrastive(first, second, memory=memory, hidden=layers, memory_temperature=memory_temperature)
        assert passes == expected
