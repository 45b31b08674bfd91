"""A stream on a device: in-batch policies never wait for it, policies of a table choose what they do on the host."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch

from emprune import BatchPruner
from emprune.scoring import classification, gradient_products

SIZES = (20, 20, 3, 20, 1)


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    draw = torch.Generator().manual_seed(0)
    return [(torch.randn(n, 6, generator=draw), torch.randint(0, 3, (n,), generator=draw)) for n in SIZES]


def trained(policy: str, device: torch.device, waiting: Callable[[], AbstractContextManager[None]]) -> torch.Tensor:
    weight = torch.linspace(-1, 1, 18).view(6, 3).to(device, copy=True).requires_grad_()
    pruner = BatchPruner(policy, prune_rate=0.7)

    def score(images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = images @ weight
        loss, memory = classification(logits, labels)
        further = {"gradient_products": gradient_products(logits, labels, images)} if policy == "divbs" else {}
        return {"loss": loss, "memory": memory, **further}

    here = [(images.to(device), labels.to(device)) for images, labels in batches()]
    optimizer = torch.optim.SGD([weight], lr=0.1)
    with waiting():
        for batch in here:
            pruner.loss(score, *batch).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert pruner.samples_backward == 19
    return weight.detach().cpu()


@pytest.mark.parametrize("policy", ["selective-backprop", "divbs"])
def test_in_batch_policies_do_not_wait(
    accelerator: torch.device, no_waiting: Callable[[], AbstractContextManager[None]], policy: str
) -> None:
    assert trained(policy, accelerator, no_waiting).isfinite().all()


@pytest.mark.parametrize("policy", ["emp", "infobatch", "lfl", "random"])
def test_policies_of_a_table_choose_as_on_the_host(accelerator: torch.device, policy: str) -> None:
    found = trained(policy, accelerator, nullcontext)
    torch.testing.assert_close(found, trained(policy, torch.device("cpu"), nullcontext))
