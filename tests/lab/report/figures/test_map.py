"""The map of losses and memory terms, from zero to huge."""

from contrastive_results import contrastive_runs, samples_of
from made_results import compared, is_drawn
from made_samples import samples, shown

from emprune_lab.report.figures import map as loss_map


def test_map_takes_losses_from_zero_to_huge():
    arrays = samples(noise=0.1)
    arrays.loss[:3], arrays.entropy[:3] = [0, 80, 1e-30], [0, 0, 1e-30]
    figure = loss_map.draw(shown({(name, 0.7): [arrays] for name in ("lfl", "emp", "random", "mine")}))
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("log", "log")
    assert is_drawn(figure)


def test_the_map_of_a_memory_term_has_no_lines_of_classes():
    runs = contrastive_runs(seeds=1, policies=("lfl", "emp"))
    figure = loss_map.draw(compared(runs, {run.run_id: samples_of(run) for run in runs}))
    first = figure.axes[0]
    assert (first.get_xscale(), first.get_yscale()) == ("linear", "linear")
    assert not first.lines
    assert figure.get_supylabel() == "memory term"
    assert is_drawn(figure)
