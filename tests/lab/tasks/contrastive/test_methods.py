"""The queue of keys against a list that forgets its oldest entries."""

from collections import deque

import pytest
import torch

from emprune_lab.tasks.contrastive.methods import KeyQueue


def rows(keys):
    return {tuple(round(float(value), 5) for value in row) for row in keys}


@pytest.mark.parametrize("size", [5, 6, 7, 10])
def test_it_holds_the_latest_keys_normalised(size):
    queue = KeyQueue(size, 3, seed=0)
    expected = deque(queue.keys.clone(), maxlen=size)
    rng = torch.Generator().manual_seed(1)
    for count in (4, 4, 5, 1, 3, 5, 4, 2):
        keys = 10 * torch.randn(count, 3, generator=rng)
        queue.enqueue(keys)
        expected.extend(key / key.norm() for key in keys)
        assert rows(queue.keys) == rows(expected)
    assert int(queue.position) == 28 % size


def test_a_batch_fills_it_at_once():
    queue = KeyQueue(4, 2, seed=0)
    queue.enqueue(torch.eye(2))
    keys = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, -4.0]])
    queue.enqueue(keys)
    assert rows(queue.keys) == rows(keys.sign())
    assert int(queue.position) == 2


def test_it_begins_on_the_sphere_by_the_seed_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one = KeyQueue(8, 4, seed=0).keys
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(one.norm(dim=1), torch.ones(8))
    assert torch.equal(KeyQueue(8, 4, seed=0).keys, one)
    assert not torch.equal(KeyQueue(8, 4, seed=1).keys, one)


def test_a_restored_queue_goes_on():
    rng = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 3, 2, generator=rng)
    whole, restored = KeyQueue(5, 2, seed=0), KeyQueue(5, 2, seed=1)
    whole.enqueue(first)
    restored.load_state_dict({name: value.clone() for name, value in whole.state_dict().items()})
    whole.enqueue(second)
    restored.enqueue(second)
    assert torch.equal(restored.keys, whole.keys)
    assert torch.equal(restored.position, whole.position)
    assert set(whole.state_dict()) == {"keys", "position"}


def test_a_loss_on_the_queue_outlives_new_keys():
    queue = KeyQueue(4, 2, seed=0)
    query = torch.ones(1, 2, requires_grad=True)
    old = queue.keys.clone()
    loss = (query @ queue.keys.T).exp().sum()
    queue.enqueue(query)
    loss.backward()
    torch.testing.assert_close(query.grad, (query.detach() @ old.T).exp() @ old)
    assert not queue.keys.requires_grad


def test_keys_of_half_precision_are_stored_in_float32():
    queue = KeyQueue(4, 2, seed=0)
    queue.enqueue(torch.tensor([[3.0, 4.0]], dtype=torch.bfloat16))
    torch.testing.assert_close(queue.keys[0], torch.tensor([0.6, 0.8]))
