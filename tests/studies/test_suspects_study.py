"""The study of wrong labels: its orders and its measures, on numbers that are known."""

import numpy as np
import pytest
from studies.suspects.scores import measures, orders_of_table, running_average


def test_the_running_average_begins_with_the_first_loss_and_skips_epochs_without_one():
    losses = np.array([[1, np.nan], [np.nan, 4], [3, np.nan], [2, 2]], np.float16)
    assert running_average(losses, 0.5).tolist() == [2.0, 3.0]


def test_precision_at_the_number_of_wrong_labels():
    wrong = np.array([True, False, True, False])
    assert measures(np.array([0, 2, 1, 3]), wrong) == {"precision": 1, "average_precision": 1}
    found = measures(np.array([1, 0, 2, 3]), wrong)
    assert found["precision"] == 0.5
    assert found["average_precision"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_after_a_pass_over_all_samples_the_order_is_that_of_self_confidence():
    rng = np.random.default_rng(0)
    outputs = rng.dirichlet(np.ones(4), 50).astype(np.float32)
    labels = rng.integers(0, 4, 50)
    run = {
        "loss": rng.random(50, np.float32), "memory": rng.random(50, np.float32), "labels": labels,
        "losses": rng.random((3, 50)), "in_sample": outputs,
    }  # fmt: skip
    orders = dict(orders_of_table(run))
    refreshed = orders["last loss, after a pass over all samples (pruner.observe)"]
    assert refreshed.tolist() == np.argsort(outputs[np.arange(50), labels], kind="stable").tolist()
    assert orders["last loss (pruner.suspects)"].tolist() == np.argsort(-run["loss"], kind="stable").tolist()
