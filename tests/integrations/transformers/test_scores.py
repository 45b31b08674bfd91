"""Scores of a batch by name, whatever a scoring function returns; and what classification gives a policy to read."""

from __future__ import annotations

import pytest
import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from emprune import ArgumentError
from emprune.integrations.transformers.scores import Batch, by_name, scores_of
from emprune.scoring import classification, confidence

LOSS, MEMORY = torch.ones(3), torch.zeros(3)
LOGITS, LABELS = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, 1])


def test_a_scoring_function_may_return_a_dict_or_a_tuple() -> None:
    named = {"loss": LOSS, "confidence": MEMORY}
    assert by_name(named) == named
    assert by_name((LOSS, MEMORY)) == {"loss": LOSS, "memory": MEMORY}
    assert list(by_name(classification(LOGITS, LABELS))) == ["loss", "memory"]
    with pytest.raises(ArgumentError, match=r"score_fn is 'one that returns 3 values'; allowed: .* or a dict by name"):
        by_name((LOSS, MEMORY, MEMORY))


@pytest.mark.parametrize("asked", [True, False])
def test_confidence_is_there_where_a_policy_reads_it(asked: bool) -> None:
    outputs = SequenceClassifierOutput(logits=LOGITS)
    found = scores_of(outputs, Batch(3, LABELS), "classification", confidence=asked, label_smoothing=0.1)
    assert torch.equal(found["loss"], classification(LOGITS, LABELS, label_smoothing=0.1).loss)
    assert ("confidence" in found) == asked
    if asked:
        assert torch.equal(found["confidence"], confidence(LOGITS, LABELS))
