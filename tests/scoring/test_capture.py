"""Captured features are those that the layers gave, by a forward written down beside it, however the model is run."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import capture_on_ranks
import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from emprune import ArgumentError, Capture, Pruner

LAYERS = ("stem", "body.1", "mix", "head")
# torch hides it from users, but cannot where warnings are errors.
HIDDEN_BY_TORCH = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
INDUCTOR = pytest.mark.skipif(not shutil.which("g++"), reason="inductor needs g++")
COMPILED = [
    ("before", "aot_eager"), ("after", "aot_eager"), ("in place", "aot_eager"),
    pytest.param("after", "inductor", marks=INDUCTOR),
]  # fmt: skip


class Net(nn.Module):
    """Feature maps, then a sequence, then one vector a sample, which an in-place ReLU changes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3)
        self.body = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 2))
        self.mix = nn.Linear(4, 6)
        self.head = nn.Linear(6, 5)
        self.last = nn.ReLU(inplace=True)
        self.recompute = False  # whether the body is checkpointed

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.stem(images)
        maps = checkpoint(self.body, maps, use_reentrant=False) if self.recompute else self.body(maps)
        return self.last(self.head(self.mix(maps.flatten(2).transpose(1, 2)).mean(1)))


def expected(net: Net, images: torch.Tensor) -> dict[str, list[list[float]]]:
    """Each layer's features, one sample and one channel at a time."""
    net, rows = copy.deepcopy(net).float(), {name: [] for name in LAYERS}
    with torch.no_grad():
        for image in images.float():
            stem = F.conv2d(image[None], net.stem.weight, net.stem.bias)[0]
            body = F.conv2d(stem.clamp_min(0)[None], net.body[1].weight, net.body[1].bias)[0]
            mixed = [net.mix.weight @ body[:, y, x] + net.mix.bias for y in range(3) for x in range(3)]
            sequence = torch.stack(mixed).mean(0)
            rows["stem"].append([plane.mean().item() for plane in stem])
            rows["body.1"].append([plane.mean().item() for plane in body])
            rows["mix"].append(sequence.tolist())
            rows["head"].append((net.head.weight @ sequence + net.head.bias).tolist())
    return rows


def same(taken: dict[str, torch.Tensor], wanted: dict[str, list[list[float]]], tolerance: float = 1e-5) -> None:
    assert list(taken) == list(LAYERS)
    for name, features in taken.items():
        assert features.dtype == torch.float32
        assert not features.requires_grad
        torch.testing.assert_close(features, torch.tensor(wanted[name]), rtol=tolerance, atol=tolerance)


def images(seed: int, batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, 1, 6, 6, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_features_are_the_layers_means_in_the_order_of_the_calls(net: Net) -> None:
    capture = Capture(net, LAYERS)
    batches = [images(1, 4), images(2, 2), images(3, 3)]
    for batch in batches:
        net(batch).sum().backward()
    same(capture.take(), expected(net, torch.cat(batches)))
    with torch.no_grad():
        net(images(4))
    same(capture.take(), expected(net, images(4)))


def test_an_in_place_operation_afterwards_does_not_reach_what_was_captured(net: Net) -> None:
    capture = Capture(net, LAYERS)
    output = net(images(1))
    head = capture.take()["head"]
    assert (head < 0).any()
    assert torch.equal(head.clamp_min(0), output)


def test_half_precision_is_averaged_and_given_in_float32(net: Net) -> None:
    capture = Capture(net.bfloat16(), LAYERS)
    net(images(1).bfloat16())
    taken = capture.take()
    same(taken, expected(net, images(1).bfloat16()), tolerance=0.05)
    maps = net.stem(images(1).bfloat16()).detach()
    torch.testing.assert_close(taken["stem"], maps.float().mean((2, 3)), rtol=1e-5, atol=1e-6)


def test_without_layers_nothing_is_registered_and_taken(net: Net) -> None:
    policies = {name: Pruner(8, name, prune_rate=0.5, num_epochs=1).policy for name in ("lfl", "emp")}
    with Capture(net, LAYERS if "memory" in policies["lfl"].inputs else ()) as capture:
        assert not hooks(net)
        net(images(1))
        assert capture.take() == {}
    assert hooks(net) == 0
    with Capture(net, LAYERS if "memory" in policies["emp"].inputs else ()):
        assert hooks(net) == len(LAYERS) + 2


def test_hooks_are_gone_afterwards_after_an_error_too(net: Net) -> None:
    captures = []

    def fail() -> None:
        with Capture(net, LAYERS) as capture:
            captures.append(capture)
            net(images(1))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert hooks(net) == 0
    captures[0].close()
    net(images(1))
    with pytest.raises(ArgumentError, match="capture is 'empty'"):
        captures[0].take()
    with pytest.raises(ArgumentError):
        Capture(net, ["stem", "no such"])
    assert hooks(net) == 0


def test_what_is_captured_of_evaluation_is_a_choice(net: Net) -> None:
    both, training = Capture(net, LAYERS, in_eval=True), Capture(net, LAYERS)
    net.eval()
    net(images(1))
    same(both.take(), expected(net, images(1)))
    with pytest.raises(ArgumentError, match=r"capture is 'empty'.*in training mode or with in_eval=True"):
        training.take()
    net.train()
    net.body.eval()  # frozen parts are the user's affair
    net(images(2))
    same(training.take(), expected(net, images(2)))


def test_a_pass_of_a_part_is_not_one_of_the_model(net: Net) -> None:
    capture = Capture(net, LAYERS)
    net.body(net.stem(images(1)))
    with pytest.raises(ArgumentError, match="Call the model itself, not a part of it"):
        capture.take()


def test_passes_without_take_are_kept_up_to_a_bound_only(net: Net) -> None:
    capture = Capture(net, ["head"], max_passes=3)
    for seed in range(50):
        net(images(seed))
    (layer,) = capture._layers
    assert sum(isinstance(part, torch.Tensor) for part in layer.recent) == 4
    with pytest.raises(ArgumentError, match="max_passes is 3; allowed: at least the number of forward passes between"):
        capture.take()
    for seed in range(3):
        net(images(seed))
    assert capture.take()["head"].shape == (12, 5)


def test_a_pass_that_failed_leaves_nothing(net: Net) -> None:
    capture = Capture(net, LAYERS)
    net(images(1))
    with pytest.raises(RuntimeError):
        net(torch.randn(4, 1, 3, 3))  # the second convolution's kernel is larger than its input
    net(images(2))
    same(capture.take(), expected(net, torch.cat([images(1), images(2)])))


def test_copies_of_the_model_capture_nothing(net: Net) -> None:
    capture = Capture(net, LAYERS)
    net(images(1))
    momentum = copy.deepcopy(net)
    momentum(images(2))
    with Capture(momentum, LAYERS) as other:
        momentum(images(3))
        same(other.take(), expected(net, images(3)))
    same(capture.take(), expected(net, images(1)))
    held = [hook.__self__ for module in momentum.modules() for hook in module._forward_hooks.values()]
    assert not any(isinstance(part, torch.Tensor) for layer in held for part in getattr(layer, "recent", ()))


class Used(nn.Module):
    """A module used twice, one that gives a tuple, and one that is left out at times."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.pair, self.odd = nn.ReLU(), Pair(), nn.Identity()
        self.calls = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        first = self.pair(self.twice(inputs))[0]
        return self.odd(first) if self.calls % 2 else self.twice(first)


class Pair(nn.Module):
    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, int]:
        return inputs * 2, 7


def test_a_layer_that_is_used_twice_in_a_pass_is_named() -> None:
    model = Used()
    capture = Capture(model, ["twice"])
    model(torch.ones(2, 3))
    with pytest.raises(ArgumentError, match=r"layers is 'twice'; allowed: layers that a forward pass uses once"):
        model(torch.ones(2, 3))
    model(torch.full((2, 3), 5.0))
    assert capture.take()["twice"].tolist() == [[1.0] * 3] * 2 + [[5.0] * 3] * 2


def test_a_layer_that_is_not_always_reached_is_named() -> None:
    model = Used()
    capture = Capture(model, ["odd", "pair"], pool=lambda output: output[0] if isinstance(output, tuple) else output)
    for _ in range(2):
        model(torch.ones(2, 3))
    with pytest.raises(ArgumentError, match=r"layers is 'odd'.* in 1 of 2"):
        capture.take()
    model(torch.ones(2, 3))
    assert capture.take()["pair"].tolist() == [[2.0] * 3] * 2


@pytest.mark.parametrize(
    ("layer", "inputs", "message"),
    [
        (Pair(), torch.ones(2, 3), r"output of layer 0 is 'tuple'.*pool=lambda output: output\[0\]"),
        (nn.Flatten(0), torch.ones(2, 3), r"torch.float32 of shape \(6,\)"),
        (nn.Embedding(5, 3), torch.tensor(2), r"torch.float32 of shape \(3,\)"),
        (nn.Identity(), torch.ones(2, 3, dtype=torch.int64), r"torch.int64 of shape \(2, 3\)"),
        (nn.Identity(), torch.ones(2, 3, 4, dtype=torch.bool), r"torch.bool of shape \(2, 3, 4\)"),
        (nn.Identity(), torch.tensor(1.0), r"torch.float32 of shape \(\)"),
    ],
)
def test_outputs_without_one_vector_a_sample_are_refused(layer: nn.Module, inputs: torch.Tensor, message: str) -> None:
    model = nn.Sequential(layer)
    Capture(model, ["0"])
    with pytest.raises(ArgumentError, match=message):
        model(inputs)


def test_a_pool_chooses_the_layout() -> None:
    model = nn.Sequential(nn.Conv1d(2, 3, 2), Pair())
    capture = Capture(model, ["1"], pool=lambda output: output[0].mean(2))
    doubled = model(torch.ones(4, 2, 5))[0].detach()
    assert torch.equal(capture.take()["1"], doubled.mean(2))
    given = torch.ones(4, 3)
    capture = Capture(model, ["0"], pool=lambda output: given)
    model(torch.ones(4, 2, 5))
    given.zero_()
    assert capture.take()["0"].tolist() == [[1.0] * 3] * 4
    Capture(model, ["0"], pool=lambda output: output)
    with pytest.raises(ArgumentError, match=r"output of layer 0 is 'torch.float32 of shape \(4, 3, 4\)'"):
        model(torch.ones(4, 2, 5))


def test_features_of_different_width_do_not_go_together() -> None:
    model = nn.Sequential(nn.Identity())
    capture = Capture(model, ["0"])
    model(torch.ones(2, 3))
    model(torch.ones(2, 4))
    with pytest.raises(ArgumentError, match=r"output of layer 0 is 'of \[3, 4\] features'"):
        capture.take()
    model(torch.ones(2, 4))
    assert capture.take()["0"].shape == (2, 4)


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        (["body.2"], {}, r"layers is 'body.2'; .* The nearest: 'body.1', 'body.0', 'body'"),
        (["Stem"], {}, "The nearest: 'stem'"),
        ([None], {}, "layers is None; allowed: names"),
        ("stem", {}, r"layers is 'stem'; .* Write \('stem',\)"),
        (["stem"], {"max_passes": 0}, "max_passes is 0"),
        (["stem"], {"max_passes": 2.0}, "max_passes is 2.0"),
    ],
)
def test_what_cannot_be_captured_is_said_at_once(net: Net, layers: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Capture(net, layers, **options)
    assert hooks(net) == 0


def test_only_modules_have_layers() -> None:
    with pytest.raises(ArgumentError, match="model is 'function'; allowed: a torch"):
        Capture(lambda inputs: inputs, ["0"])


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("what", ["part", "whole"])
def test_activations_computed_again_in_backward_are_not_captured_again(
    net: Net, what: str, use_reentrant: bool
) -> None:
    """Two steps of different images: what backward computes again would come beside, or instead of, the next's."""
    net.recompute = what == "part" and not use_reentrant
    reached = []
    net.body[1].register_forward_hook(lambda *_: reached.append(1))
    capture = Capture(net, LAYERS)
    for seed in (1, 2, 3):
        batch = images(seed).requires_grad_()
        if what == "part" and use_reentrant:
            net.body.forward = lambda maps: checkpoint(nn.Sequential.forward, net.body, maps, use_reentrant=True)
        with set_checkpoint_early_stop(False):  # else the last layer would not be computed again
            output = checkpoint(net, batch, use_reentrant=use_reentrant) if what == "whole" else net(batch)
        if seed != 2:
            same(capture.take(), expected(net, images(seed)))
        output.sum().backward()
        if seed == 2:
            same(capture.take(), expected(net, images(seed)))
    assert len(reached) == 6
    with pytest.raises(ArgumentError, match="capture is 'empty'"):
        capture.take()


@HIDDEN_BY_TORCH
def test_names_are_those_without_wrappers(net: Net) -> None:
    net.body = checkpoint_wrapper(net.body)
    net.stem = torch.compile(net.stem, backend="eager")
    capture = Capture(torch.compile(net, backend="eager"), LAYERS)
    batch = images(1)
    net(batch).sum().backward()
    plain = Net()
    plain.load_state_dict({name.replace("_orig_mod.", ""): value for name, value in net.state_dict().items()})
    same(capture.take(), expected(plain, batch))
    with pytest.raises(ArgumentError, match="capture is 'empty'"):
        capture.take()
    module = nn.Sequential()
    module.add_module("module", nn.Linear(2, 2))  # a name of the user's own, as the wrapper has
    assert Capture(module, ["module"])


@pytest.fixture
def compilations() -> Iterator[Any]:
    """How many graphs have been compiled since the test began."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    yield lambda: torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch.compiler.reset()


@HIDDEN_BY_TORCH
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # inductor's own
@pytest.mark.parametrize(("when", "backend"), COMPILED)
def test_a_compiled_model_is_captured_in_one_graph(net: Net, backend: str, when: str, compilations: Any) -> None:
    """However many passes lie between takes, and in evaluation in between, nothing is compiled anew."""
    plain = copy.deepcopy(net)
    if when == "before":
        capture = Capture(net, LAYERS)
    if when == "in place":
        net.compile(backend=backend, fullgraph=True)
    model = net if when == "in place" else torch.compile(net, backend=backend, fullgraph=True)
    if when != "before":
        capture = Capture(model, LAYERS)
    for round_, passes in enumerate((1, 2, 5, 1)):
        batches = [images(10 * round_ + number) for number in range(passes)]
        for batch in batches:
            model.zero_grad()
            model(batch).sum().backward()
        same(capture.take(), expected(plain, torch.cat(batches)))
        assert compilations() == 1
    assert not torch._dynamo.utils.counters["graph_break"]
    plain(batches[-1]).sum().backward()
    torch.testing.assert_close(net.stem.weight.grad, plain.stem.weight.grad)
    if backend == "inductor" or when != "after":
        return
    model.eval()
    model(images(1))
    assert compilations() == 2
    model.train()
    for _ in range(40):
        model(images(1))
    with pytest.raises(ArgumentError, match="max_passes"):
        capture.take()
    assert compilations() == 2
    for _ in range(10):  # one Capture after another, too
        capture.close()
        capture = Capture(model, LAYERS)
        model(images(3))
        same(capture.take(), expected(plain, images(3)))
    assert compilations() <= 3
    capture.close()
    model(images(3))
    assert all(layer.recent[0] is layer.recent[1] for layer in capture._layers)


@HIDDEN_BY_TORCH
def test_a_compiled_step_may_take(net: Net, compilations: Any) -> None:
    plain, capture = copy.deepcopy(net), Capture(net, LAYERS)

    @torch.compile(backend="aot_eager")
    def step(batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        loss = net(batch).sum()
        return loss, capture.take()

    after = []
    for seed in range(5):
        loss, taken = step(images(seed))
        loss.backward()
        same(taken, expected(plain, images(seed)))
        after.append(compilations())
    assert after[1] == after[-1]


@HIDDEN_BY_TORCH
def test_compiled_parts_of_a_plain_model_are_captured(net: Net, compilations: Any) -> None:
    plain, capture = copy.deepcopy(net), None
    net.body.compile(backend="aot_eager", fullgraph=True)
    net.mix = torch.compile(net.mix, backend="aot_eager", fullgraph=True)
    capture = Capture(net, LAYERS)
    after = []
    for seed in range(4):
        net(images(seed)).sum().backward()
        same(capture.take(), expected(plain, images(seed)))
        after.append(compilations())
    assert after[0] == after[-1] > 1


def test_a_compiled_model_says_what_cannot_be_captured(compilations: Any) -> None:
    model = nn.Sequential(Pair())
    Capture(model, ["0"])
    with pytest.raises(ArgumentError, match="output of layer 0 is 'tuple'"):
        torch.compile(model, backend="eager")(torch.ones(2, 3))


def test_under_distributed_data_parallel_each_rank_has_its_own_features(tmp_path: Path) -> None:
    """Compiled inside, outside and not, two ranks capture what the plain model gives, and gradients are as without."""
    script = Path(__file__).parents[1] / "helpers" / "capture_on_ranks.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    model, steps = capture_on_ranks.new_model(), range(capture_on_ranks.STEPS)
    for rank in range(capture_on_ranks.RANKS):
        (0.5 * model(capture_on_ranks.batch(rank, steps[-1])).square().sum()).backward()
    for rank in range(capture_on_ranks.RANKS):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert [case["graphs"] for case in found.values()] == [0, 0, 1, 1]
        for case in found.values():
            torch.testing.assert_close(case["gradient"], model[0].weight.grad)
            for step in steps:
                first = model[0](capture_on_ranks.batch(rank, step))
                torch.testing.assert_close(case["0"][step], first.detach())
                torch.testing.assert_close(case["2"][step], model[2](first.tanh()).detach())
