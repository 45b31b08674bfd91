"""outside_graphs: called as it is inside a compiled step, and no compiler imported where none is used."""

from __future__ import annotations

import sys

import pytest
import torch

from emprune.compiling import outside_graphs


@outside_graphs
def noted(x: torch.Tensor, *, by: float) -> torch.Tensor:
    """A product; notes whether it is being compiled."""
    compiling.append(torch.compiler.is_compiling())
    return x * by


compiling: list[bool] = []


def test_a_call_imports_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    assert noted(torch.ones(2), by=3.0).tolist() == [3, 3]
    assert "torch._dynamo" not in sys.modules


def test_within_a_compiled_step_it_runs_outside_the_graphs() -> None:
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    def step(x: torch.Tensor) -> torch.Tensor:
        return noted(x + 1, by=2.0).relu()

    torch.compiler.reset()
    compiling.clear()
    found = torch.compile(step, backend=backend)(torch.tensor([-3.0, 3.0]))
    assert found.tolist() == [0, 8]
    assert compiling == [False]
    assert len(graphs) == 2  # what comes before the call, and after
    assert not any("mul" in str(node.target) for graph in graphs for node in graph.graph.nodes)


def test_name_and_docstring_are_the_methods() -> None:
    assert (noted.__name__, noted.__doc__) == ("noted", "A product; notes whether it is being compiled.")
