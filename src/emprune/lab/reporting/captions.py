"""What the report says in words: findings and captions, computed from the same rows and arrays as the figures."""

from __future__ import annotations

from collections.abc import Sequence

from emprune.lab.reporting.bootstrap import Estimate
from emprune.lab.reporting.figures.counts import pooled_counts
from emprune.lab.reporting.figures.maps import LOWEST
from emprune.lab.reporting.figures.remembered import FEWEST, share_right
from emprune.lab.reporting.figures.style import Runs, policies_of, rates_of
from emprune.lab.reporting.statistics import FULL, RANDOM, Row
from emprune.lab.reporting.tables import signed
from emprune.lab.spec import SHORT


def findings(rows: Sequence[Row], reference: str = RANDOM) -> list[str]:
    """One sentence a rate: who is above, below, or not told apart from the reference by these seeds."""
    full = [row for row in rows if row.policy == FULL]
    sentences = []
    for rate in sorted({row.prune_rate for row in rows if row.policy != FULL}):
        here = [row for row in rows if row.prune_rate == rate and row.policy != FULL]
        compared = [(row.policy, row.difference) for row in here if row.difference and row.policy != reference]
        base = [row.accuracy.value for row in here if row.policy == reference]
        start = f"Prune rate {rate:g} ({here[0].samples_backward:,} samples"
        start += f" instead of {full[0].samples_backward:,})" if full else ")"
        start += f": {reference} reaches {base[0]:.2f} %" if base else f": {reference} was not run"
        sentences.append("; ".join([start, *_groups(compared, reference)]) + ".")
    if full:
        sentences.append(f"All the data reaches {full[0].accuracy.value:.2f} %.")
    return sentences


def accuracy_caption(rows: Sequence[Row]) -> str:
    """Under the figure of accuracy over rate."""
    seeds = max(len(row.seeds) for row in rows)
    bars = f"Vertical bars: 95 % bootstrap interval of the mean over {seeds} seeds. " if seeds > 1 else ""
    full = "The broken line is training on all the data. " if any(row.policy == FULL for row in rows) else ""
    return (
        f"Accuracy over prune rate. {bars}{full}All other points of one rate cost the same number of training "
        "samples. The numbers on the right are those of the highest rate. A value with ↓ lies below the axis."
    )


def difference_caption(rows: Sequence[Row], reference: str = RANDOM) -> str:
    """Under the figure of differences."""
    several = any(row.difference and row.difference.count > 1 for row in rows)
    bars = (
        " Bars: 95 % bootstrap interval; a filled dot says that it leaves out zero, a hollow one that it does not."
        if several
        else " One seed: no interval, so a difference may be chance."
    )
    return (
        f"Accuracy minus that of {reference} with the same seed, hence the same initial weights and the same wrong "
        f"labels, at the same number of training samples.{bars} ◂ and ▸ mark values off the scale."
    )


def counts_caption(runs: Runs) -> str:
    """Under the histograms: what is seen, and how the spread changes with the rate."""
    rates = rates_of(runs, [FULL])
    shown = [policy for policy in ("lfl", "emp", RANDOM) if all((policy, rate) in runs for rate in rates)]
    spreads = {policy: [f"{pooled_counts(runs[policy, rate]).std():.1f}" for rate in rates] for policy in shown}
    text = (
        "How often each sample was trained (bars: percent of the samples; all seeds together). Within a row all "
        "policies spend the same number of samples, so the means (broken line) agree; the difference is on whom they "
        "spend them. ↑ marks a bar cut off."
    )
    if any(policy == SHORT for policy, _ in runs):
        text += f" Under {SHORT} every sample gets the same share."
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
    text = (
        "Remembered: the part of the training set that the final model predicts as labelled, without augmentation. "
        f"Middle: by how often a sample was trained, in bins that hold at least {FEWEST} samples. Bottom: samples in "
        "each bin, all seeds together, on a logarithmic scale."
    )
    if noisy:
        text += (
            " Bars and lines are of the samples with a right label. ✕ is the part of the wrong labels that the model "
            "reproduces: noise that it learnt by heart, where low is good."
        )
    highest = max(rates_of(runs, [FULL]))
    shares = {
        policy: share
        for policy in policies_of(runs, [FULL])
        if (share := share_right(runs.get((policy, highest), []), mislabelled=False)) is not None
    }
    most, least = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
    if len(shares) > 1:
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


def _groups(compared: Sequence[tuple[str, Estimate]], reference: str) -> list[str]:
    if not compared:
        return []
    listed = [f"{policy} ({signed(one.value)})" for policy, one in compared]
    if all(one.low is None for _, one in compared):
        return [f"one seed tells no difference from chance, points over {reference}: {', '.join(listed)}"]
    names = {1: f"above {reference}", -1: f"below {reference}", 0: "not told apart from it by these seeds"}
    groups = []
    for sign, name in names.items():
        members = [text for text, (_, one) in zip(listed, compared, strict=True) if one.sign == sign]
        if members:
            groups.append(f"{name}: {', '.join(members)}")
    return groups
