"""Captions, computed from the same rows and arrays as the figures."""

from __future__ import annotations

from collections.abc import Sequence

from emprune.lab.reporting.costs import FULL, RANDOM, own_budget
from emprune.lab.reporting.figures.counts import pooled_counts
from emprune.lab.reporting.figures.maps import LOWEST
from emprune.lab.reporting.figures.remembered import FEWEST, share_right
from emprune.lab.reporting.figures.selecting import Runs, equal_budgets, policies_of, rates_of, shown_of
from emprune.lab.reporting.figures.spending import one_machine
from emprune.lab.reporting.intervals import NAMES, SCOPE, seeds_in_words
from emprune.lab.reporting.statistics import Row
from emprune.lab.spec import SHORT

_OFF_AXIS = {True: "↓ lies below", False: "↑ lies above"}


def accuracy_caption(rows: Sequence[Row]) -> str:
    """Under the figure of accuracy over rate."""
    counts = [len(row.seeds) for row in rows]
    bars = (
        f"Vertical bars: 95 % interval of the mean over {seeds_in_words(counts)} ({NAMES[rows[0].accuracy.interval]}); "
        f"one that leaves the picture is longer. {SCOPE}. "
        if max(counts) > 1
        else "One seed: no interval, so a difference may be chance. "
    )
    full = "The broken line is training on all the data. " if any(row.policy == FULL for row in rows) else ""
    own = (
        "Hollow marks are rules that decide themselves how many samples they train, at the rate that this came to; "
        "nothing is said of them against the others. "
        if any(row.own_budget for row in rows)
        else ""
    )
    scoring = (
        ", not counting what the run behind a static score trained before"
        if any(row.cost.samples_backward_scoring for row in rows)
        else ""
    )
    off_axis = _OFF_AXIS[rows[0].metric.higher_is_better]
    return (
        f"{rows[0].metric.title} over prune rate. {bars}{full}{own}The points of one rate stand side by side and cost "
        f"the same number of training samples{scoring}. The numbers on the right are those of the highest rate. A "
        f"value with {off_axis} the axis."
    )


def difference_caption(rows: Sequence[Row]) -> str:
    """Under the figure of differences."""
    compared = [row.difference for row in rows if row.difference]
    reference = rows[0].reference
    samples = "which trains on all the data" if reference == FULL else "at the same number of training samples"
    bars = (
        f" Bars: 95 % interval of the paired difference ({NAMES[compared[0].interval]}); a filled dot says that it "
        f"leaves out zero, a hollow one that it does not. {SCOPE}."
        if any(one.count > 1 for one in compared)
        else " One seed: no interval, so a difference may be chance."
    )
    return (
        f"{rows[0].metric.title} minus that of {reference} with the same seed, hence the same initial weights and the "
        f"same wrong labels, {samples}.{bars} ◂ and ▸ mark values off the scale."
    )


def spending_caption(rows: Sequence[Row]) -> str:
    """Under the figure of accuracy over cost."""
    machines = len(frozenset().union(*(row.cost.machines for row in rows)))
    time = (
        "Left: wall-clock seconds of training, scoring and selecting. Runs at the same time on one machine slow each "
        "other down. Right: samples"
        if one_machine(rows)
        else f"The runs were on {machines} different machines, so their seconds are not compared. Samples"
    )
    plain = (
        f" The broad grey line joins {SHORT} and {FULL}: what plain training buys at that cost, and what a method has "
        f"to lie {'above' if rows[0].metric.higher_is_better else 'below'}."
        if {FULL, SHORT} <= {row.policy for row in rows}
        else ""
    )
    scoring = (
        ", those of the run behind a static score included"
        if any(row.cost.samples_backward_scoring for row in rows)
        else ""
    )
    hollow = " Hollow: rules with a budget of their own." if any(row.own_budget for row in rows) else ""
    return (
        f"{rows[0].metric.title} over what it cost, means over the seeds, every policy at every rate. {time} that went "
        f"through backward{scoring}. Both axes are logarithmic.{plain}{hollow} A value with "
        f"{_OFF_AXIS[rows[0].metric.higher_is_better]} the axis."
    )


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


def remembered_caption(runs: Runs) -> str:
    """Under the figure of what is remembered."""
    noisy = any(one.mislabelled.any() for samples in runs.values() for one in samples)
    every = policies_of(equal_budgets(runs), [FULL])
    some = " of some of the policies" if len(shown_of(every)) < len(policies_of(runs, [FULL])) else ""
    text = (
        "Remembered: the part of the training set that the final model predicts as labelled, without augmentation. "
        f"Middle: by how often a sample was trained, in bins that hold at least {FEWEST} samples{some}. Bottom: "
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
    """Under the map of loss against entropy."""
    wrong = " Crosses are samples with a wrong label." if noisy else ""
    return (
        f"Every training sample under the final model, rate {rate:g}, seed {seed}: its loss, and the entropy of its "
        "prediction (EMP's memory term), coloured by how often it was trained. Lower left: mastered. Top: ambiguous. "
        f"Lower right: confidently wrong, the place of label errors.{wrong} Left of the vertical line (ln 2) a sample "
        f"is surely predicted as labelled; the horizontal one is the highest possible entropy. Values below {LOWEST:g} "
        "nats are drawn there."
    )


def contact_caption(policy: str, rate: float, seed: int, *, noisy: bool) -> str:
    """Under a contact sheet."""
    wrong = " A frame marks a wrong label, written true → given." if noisy else ""
    return (
        f"The images that {policy} trained most and least often at rate {rate:g}, seed {seed}, with label and number "
        f"of times trained.{wrong} Ties: the higher final loss among the most, the lower among the least trained."
    )
