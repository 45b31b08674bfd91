"""Captions of the figures of per-sample arrays and histories, computed from the same arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emprune_lab.records.results import Result
from emprune_lab.reporting.costs import FULL, RANDOM, own_budget
from emprune_lab.reporting.figures.counts import pooled_counts
from emprune_lab.reporting.figures.maps import LOWEST
from emprune_lab.reporting.figures.remembered import FEWEST, share_right
from emprune_lab.reporting.figures.selecting import Runs, equal_budgets, policies_of, rates_of, shown_of
from emprune_lab.reporting.intervals import seeds_in_words
from emprune_lab.specs.spec import SHORT
from emprune_lab.tasks import Wording, wording_of

_LABELLED = Wording()


def counts_caption(runs: Runs) -> str:
    """Under the histograms: what is seen, and how the spread changes with the rate."""
    every = policies_of(runs, [FULL])
    runs = equal_budgets(runs)
    rates, drawn = rates_of(runs, [FULL]), shown_of(policies_of(runs, [FULL]))
    shown = [policy for policy in ("lfl", "emp", RANDOM) if all((policy, rate) in runs for rate in rates)]
    spreads = {policy: [f"{pooled_counts(runs[policy, rate]).std():.1f}" for rate in rates] for policy in shown}
    text = (
        "How often each sample was trained (bars: percent of the samples; all seeds together). Within a row all "
        "policies spend the same number of samples, so the means (broken line) agree; the difference is on whom they "
        "spend them. ↑ marks a bar cut off."
    )
    if SHORT in drawn:
        text += f" Under {SHORT} every sample gets the same share."
    if left_out := [policy for policy in every if policy not in drawn]:
        text += f" Not shown, for space or since their budget is their own: {', '.join(left_out)}."
    if spreads and len(rates) > 1:
        listed = ", ".join(f"{policy} {' → '.join(values)}" for policy, values in spreads.items())
        text += f" Standard deviation from rate {rates[0]:g} to {rates[-1]:g}: {listed}."
    if "lfl" in shown and len(rates) > 1:
        first, last = (float(pooled_counts(runs["lfl", rate]).std()) for rate in (rates[0], rates[-1]))
        text += (
            " Low-Frequency Learning is this narrowing: at a high rate even the samples ranked hardest get few turns."
            if last < first
            else " The narrowing that Low-Frequency Learning predicts for lfl does not show here."
        )
    return text


def remembered_caption(runs: Runs, wording: Wording = _LABELLED) -> str:
    """Under the figure of what is remembered."""
    noisy = any(one.mislabelled.any() for samples in runs.values() for one in samples)
    every = policies_of(equal_budgets(runs), [FULL])
    some = " of some of the policies" if len(shown_of(every)) < len(policies_of(runs, [FULL])) else ""
    text = (
        f"Remembered: {wording.remembered}{wording.plainly}. Middle: by how often a sample was trained, "
        f"in bins that hold at least {FEWEST} samples{some}. Bottom: "
        "samples in each bin, all seeds together, on a logarithmic scale."
    )
    if noisy:
        text += (
            " Bars and lines are of the samples with a right label. ✕ is the part of the wrong labels that the model "
            "reproduces: noise that it learnt by heart, where low is good."
        )
    highest = max(rates_of(runs, [FULL]))
    shares = {
        policy: share
        for policy in every
        if not own_budget(policy)
        and (share := share_right(runs.get((policy, highest), []), mislabelled=False)) is not None
    }
    if len(shares) > 1:
        most, least = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
        text += f" At rate {highest:g}, {most} remembers most ({shares[most]:.1f} %), {least} least"
        text += f" ({shares[least]:.1f} %)."
    return text


def map_caption(rate: float, seed: int, *, noisy: bool) -> str:
    """Under the map of loss against entropy, of labelled data."""
    wrong = " Crosses are samples with a wrong label." if noisy else ""
    return (
        f"Every training sample under the final model, rate {rate:g}, seed {seed}: its loss, and the entropy of its "
        "prediction (EMP's memory term), coloured by how often it was trained. Lower left: mastered. Top: ambiguous. "
        f"Lower right: confidently wrong, the place of label errors.{wrong} Left of the vertical line (ln 2) a sample "
        f"is surely predicted as labelled; the horizontal one is the highest possible entropy. Values below {LOWEST:g} "
        "nats are drawn there."
    )


def contrastive_map_caption(rate: float, seed: int, run: Result) -> str:
    """Under the map of loss against memory term, of contrastive runs such as this one."""
    wording = wording_of(run.data, run.recipe)
    return (
        f"Every training sample under the final model, rate {rate:g}, seed {seed}: its contrastive loss, and "
        f"{wording.memory_term}, both read within batches of {run.recipe['batch_size']} samples; coloured by how "
        f"often it was trained. Left: told from all others. Low: the base encoder {wording.low_memory}."
    )


def contact_caption(policy: str, rate: float, seed: int, *, noisy: bool, wording: Wording = _LABELLED) -> str:
    """Under a contact sheet."""
    wrong = " A frame marks a wrong label, written true → given." if noisy else ""
    label = "class, which training did not see," if wording.kind == "contrastive" else "label"
    return (
        f"The images that {policy} trained most and least often at rate {rate:g}, seed {seed}, with {label} and number "
        f"of times trained.{wrong} Ties: the higher final loss among the most, the lower among the least trained."
    )


def memory_caption(shown: Mapping[tuple[str, float], Sequence[Result]], left_out: Sequence[str]) -> str:
    """Under the figure of the memory term over training.

    Args:
        shown: (policy, rate) → runs in it. left_out: policies that are not in it.
    """
    counts = [len(runs) for runs in shown.values()]
    band = "; bands reach from the lowest seed to the highest" if max(counts) > 1 else ""
    full = (
        f" {FULL} leaves the picture to the right; the broken line is where it ends."
        if any(policy == FULL for policy, _ in shown)
        else ""
    )
    others = f" Not shown, for space: {', '.join(left_out)}." if left_out else ""
    one = next(iter(shown.values()))[0]
    term = wording_of(one.data, one.recipe).memory_term
    return (
        f"Top: {term}, after each epoch, mean over a fixed part of the training set under fixed views; the same term "
        "for all policies, whatever they score by. Bottom: how much of that part is remembered (instance retrieval). "
        f"Means over {seeds_in_words(counts)}{band}, over the samples trained until then. The learning rate falls over "
        f"each policy’s own steps, so only the right ends compare finished runs.{full}{others}"
    )
