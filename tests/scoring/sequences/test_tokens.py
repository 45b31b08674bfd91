"""Loss and memory a sequence against a naive loop over samples and tokens, packed and shifted; bad input."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emprune.scoring import (
    classification,
    sequence_ids_from_boundaries,
    sequence_ids_from_positions,
    tokens,
)

VOCABULARY = 7


def naive_token(logits: list[float], label: int) -> tuple[float, float]:
    """Loss and entropy of one token, in nats, straight from the definition."""
    most = max(logits)
    log_sum = most + math.log(sum(math.exp(value - most) for value in logits))
    log_q = [value - log_sum for value in logits]
    return -log_q[label], -sum(math.exp(value) * value for value in log_q if value > -math.inf)


def naive_sample(logits: list[list[float]], labels: list[int], *, shift: bool) -> tuple[float, float]:
    """Means over one sample's labelled tokens; (0, 0) if there is none."""
    if shift:
        logits, labels = logits[:-1], labels[1:]
    pairs = [naive_token(row, label) for row, label in zip(logits, labels, strict=True) if label != -100]
    if not pairs:
        return 0.0, 0.0
    return sum(loss for loss, _ in pairs) / len(pairs), sum(entropy for _, entropy in pairs) / len(pairs)


def drawn(lengths: list[int], seed: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Logits and labels of samples of these lengths; three labels in ten are ignored."""
    generator = torch.Generator().manual_seed(seed)
    logits = [torch.randn(length, VOCABULARY, generator=generator).mul(3) for length in lengths]
    labels = [torch.randint(VOCABULARY, (length,), generator=generator) for length in lengths]
    masks = [torch.rand(length, generator=generator) < 0.3 for length in lengths]
    return logits, [label.masked_fill(mask, -100) for label, mask in zip(labels, masks, strict=True)]


def expected(logits: list[torch.Tensor], labels: list[torch.Tensor], *, shift: bool) -> torch.Tensor:
    """float32, shape [2, S]: loss and memory of each sample by the naive loop."""
    pairs = zip(logits, labels, strict=True)
    return torch.tensor([naive_sample(x.tolist(), y.tolist(), shift=shift) for x, y in pairs]).T


@pytest.mark.parametrize("shift", [False, True])
def test_rows_of_one_sequence_each(shift: bool) -> None:
    logits, labels = drawn([9, 9, 9], seed=0)
    found = tokens(torch.stack(logits), torch.stack(labels), shift=shift)
    torch.testing.assert_close(torch.stack(found), expected(logits, labels, shift=shift))
    assert found.loss.dtype == found.memory.dtype == torch.float32


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=3),
    shift=st.booleans(),
    start=st.integers(0, 2),
    seed=st.integers(0, 10**6),
)
def test_packed_rows_give_what_each_sample_gives_alone(
    rows: list[list[int]], shift: bool, start: int, seed: int
) -> None:
    """Rows of several samples, padded right, told apart by positions that start anywhere."""
    logits, labels = drawn([length for row in rows for length in row], seed)
    width = max(map(sum, rows))
    packed = torch.full((len(rows), width, VOCABULARY), torch.nan)
    targets = torch.full((len(rows), width), -100)
    positions, mask = torch.zeros(len(rows), width, dtype=torch.int64), torch.zeros(len(rows), width, dtype=torch.int64)
    sample = 0
    for row, lengths in enumerate(rows):
        at = 0
        for length in lengths:
            here = slice(at, at + length)
            packed[row, here], targets[row, here] = logits[sample], labels[sample]
            positions[row, here], mask[row, here] = torch.arange(start, start + length), 1
            at, sample = at + length, sample + 1
    ids = sequence_ids_from_positions(positions, mask)
    found = tokens(
        packed, targets, shift=shift, sequence_ids=ids, num_sequences=sample, require_labels=False
    )  # fmt: skip
    torch.testing.assert_close(torch.stack(found), expected(logits, labels, shift=shift))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_a_flattened_row_by_its_boundaries(dtype: torch.dtype) -> None:
    """As flattening collators give it: one row, seq_idx or cu_seq_lens, padding at the end; also without the row."""
    logits, labels = drawn([4, 1, 6], seed=3)
    row, targets = torch.cat([*logits, torch.zeros(2, VOCABULARY)]), torch.cat([*labels, torch.tensor([-100, -100])])
    ids = sequence_ids_from_boundaries(torch.tensor([0, 4, 5, 11], dtype=dtype), 13)
    assert ids.tolist() == [[0] * 4 + [1] + [2] * 6 + [-1] * 2]
    right = expected(logits, labels, shift=True)
    for found in (
        tokens(row[None], targets[None], shift=True, sequence_ids=ids.to(dtype)),
        tokens(row, targets, shift=True, sequence_ids=ids[0], num_sequences=3),
    ):
        torch.testing.assert_close(torch.stack(found), right)


def test_no_prediction_across_a_border() -> None:
    """The first label of a sample, and any logits at the end of one, change nothing."""
    logits, _ = drawn([3, 3], seed=1)
    row, targets, ids = torch.cat(logits)[None], torch.tensor([[1, 2, 3, 4, 5, 6]]), torch.tensor([[0, 0, 0, 1, 1, 1]])
    found = tokens(row, targets, shift=True, sequence_ids=ids)
    changed, other = row.clone(), targets.clone()
    changed[0, [2, 5], 6] = 100.0
    other[0, [0, 3]] = 0
    torch.testing.assert_close(tokens(changed, other, shift=True, sequence_ids=ids), found)
    across = tokens(changed, other, shift=True)
    assert across.loss.item() > 10  # what a border prevents


def test_padding_at_position_zero_without_a_mask_disturbs_nothing() -> None:
    """TRL pads positions with 0: ids beyond the samples appear, on tokens without label."""
    logits, labels = drawn([3, 2], seed=2)
    ids = sequence_ids_from_positions(torch.tensor([[0, 1, 2, 0, 1, 0, 0]]))
    assert ids.tolist() == [[0, 0, 0, 1, 1, 2, 3]]
    row = torch.cat([*logits, torch.full((2, VOCABULARY), torch.nan)])[None]
    targets = torch.cat([*labels, torch.tensor([-100, -100])])[None]
    found = tokens(row, targets, shift=True, sequence_ids=ids, num_sequences=2, require_labels=False)
    torch.testing.assert_close(torch.stack(found), expected(logits, labels, shift=True))


def test_a_sequence_without_label_is_zero_with_zero_gradient() -> None:
    """Even where its logits are NaN; the others' gradients are theirs alone."""
    logits = torch.randn(3, 4, VOCABULARY)
    logits[1] = torch.nan
    logits.requires_grad_()
    labels = torch.tensor([[1, 2, 3, 4], [-100] * 4, [-100, -100, 5, -100]])
    loss, memory = tokens(logits, labels)
    assert loss[1] == 0
    assert memory[1] == 0
    loss.sum().backward()
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[2, [0, 1, 3]] == 0).all()
    assert (logits.grad[0].abs().amax(dim=1) > 0).all()


def test_one_token_a_sequence_is_classification() -> None:
    logits, labels = torch.randn(5, VOCABULARY), torch.tensor([0, 1, 2, 3, 4])
    found = tokens(logits[:, None], labels[:, None], label_smoothing=0.2)
    torch.testing.assert_close(torch.stack(found), torch.stack(classification(logits, labels, label_smoothing=0.2)))


def test_other_ignore_index_and_smoothing_one() -> None:
    logits = torch.randn(1, 3, VOCABULARY)
    first = tokens(logits, torch.tensor([[1, -1, 2]]), ignore_index=-1)
    torch.testing.assert_close(first, tokens(logits, torch.tensor([[1, -100, 2]])))
    zero_ignored = tokens(logits, torch.tensor([[1, 0, 2]]), ignore_index=0)
    torch.testing.assert_close(zero_ignored, first)


def test_inputs_stay_as_they_were() -> None:
    logits, labels, ids = torch.randn(1, 4, VOCABULARY), torch.tensor([[1, -100, 2, 3]]), torch.tensor([[0, 0, 1, 1]])
    before = logits.clone(), labels.clone(), ids.clone()
    tokens(logits.requires_grad_(), labels, shift=True, sequence_ids=ids).loss.sum().backward()
    assert all(torch.equal(one, other) for one, other in zip((logits, labels, ids), before, strict=True))


LOGITS, LABELS = torch.zeros(2, 3, VOCABULARY), torch.zeros(2, 3, dtype=torch.int64)


def test_empty_batches() -> None:
    loss, memory = tokens(torch.zeros(0, 3, VOCABULARY, requires_grad=True), LABELS[:0])
    assert loss.shape == memory.shape == (0,)
    loss.sum().backward()
    empty = LABELS[:, :0]
    assert tokens(torch.zeros(2, 0, VOCABULARY), empty, sequence_ids=empty).loss.shape == (0,)


def test_it_compiles_into_one_graph() -> None:
    logits, labels = torch.randn(2, 6, 9), torch.randint(9, (2, 6))
    ids = torch.tensor([[0, 0, 0, 1, 1, 1], [2] * 6])
    torch.manual_seed(0)

    def step(x: torch.Tensor) -> torch.Tensor:
        loss, memory = tokens(x, labels, shift=True, sequence_ids=ids, num_sequences=3)
        return loss + memory

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    one, other = (logits.clone().requires_grad_() for _ in range(2))
    torch.testing.assert_close(compiled(one), step(other))
    compiled(one).sum().backward()
    step(other).sum().backward()
    torch.testing.assert_close(one.grad, other.grad)


def test_where_values_cannot_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator: a bad label makes its own sequence NaN, a bad id the batch; gradients stay finite."""
    monkeypatch.setattr(sys.modules["emprune.scoring.sequences.tokens"], "can_read", lambda values: False)
    logits = torch.randn(2, 3, 5, requires_grad=True)
    loss, memory = tokens(logits, torch.tensor([[0, 5, 1], [2, -1, -100]]))
    assert torch.isnan(loss).all()
    loss, memory = tokens(logits, torch.tensor([[0, 5, 1], [2, 3, -100]]))
    assert torch.isnan(loss).tolist() == [True, False]
    assert torch.isfinite(memory).all()
    loss.sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[0, 1] == 0).all()
    ids = torch.tensor([[0, 0, 2], [1, 1, 3]])
    assert torch.isnan(tokens(logits, torch.zeros_like(ids), sequence_ids=ids, num_sequences=2).loss).all()
    fine = torch.tensor([[0, 0, -100], [1, 1, -100]])
    assert torch.isfinite(tokens(logits, fine, sequence_ids=ids, num_sequences=2).loss).all()


def test_weighted_losses_of_a_sequence_are_averaged_over_its_labelled_tokens() -> None:
    logits, labels = drawn([9, 9, 9], seed=3)
    weight = torch.linspace(0.5, 2, VOCABULARY)
    found = tokens(torch.stack(logits), torch.stack(labels), weight=weight)
    for loss, x, y in zip(found.loss, logits, labels, strict=True):
        each = torch.nn.functional.cross_entropy(x, y, weight, reduction="none")
        torch.testing.assert_close(loss, each.sum() / (y != -100).sum())
    assert torch.equal(found.memory, tokens(torch.stack(logits), torch.stack(labels)).memory)
