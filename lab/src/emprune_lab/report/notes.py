"""How to read each table, and the intervals in all of them."""

from __future__ import annotations

from emprune_lab.report.lossless import MARGIN

RANKED, MEASURES, OWN_BUDGET = "equal budgets", "all measures", "budgets of their own, not ranked"
COST, LOSSLESS = "cost", "lossless rate"
"""Names of a setting's tables."""

NOTES = {
    RANKED: "Policies at one rate trained the same number of samples (backward); full is the reference with more. "
    "After +: what the run behind a static score had trained before, beyond that budget. forward: all forward passes, "
    "those that only score or choose included. A sample of a contrastive run is two views. random: a new uniform "
    "subset each epoch; short: full data for fewer epochs. gap closed: (policy − random) / (full − random), 0 is no "
    "better than random, 1 is as good as full; in parentheses where the seeds do not bound it, fewer than four or full "
    "not significantly better than random; – where it is not better. speed-up at equal value: samples that plain "
    "training on all the data needs to get there, over those of the policy, scoring runs included; of means over the "
    "seeds, log-linear between the budgets of short and full. ≥ and ≤: nothing is claimed beyond the longest and the "
    "shortest of these. remembered: training samples that the final model predicts as labelled, without augmentation; "
    "of text, tokens predicted right; of contrastive runs, views in a batch whose nearest other view is of the same "
    "sample (instance retrieval). true labels: training samples predicted right in truth.",
    LOSSLESS: "The highest rate tried at which the difference to full, paired by seed, is shown to be above "
    f"−{MARGIN:g} points, at the lower end of its 95 % interval: percentage points; one of Matthews’ coefficient is "
    "0.01, of bits 0.02. ≥: no higher rate was tried. seconds saved: at least so much of those of full, from the "
    "samples left out and the same quotient of seconds a sample as in the cost table. next rate: the next higher "
    "one that was tried. all, all others: no rate was shown to be lossless, with few seeds often because the "
    "interval is long.",
    MEASURES: "All metrics of the same runs; the first heads the comparison. ↓: lower is better.",
    OWN_BUDGET: "These rules decide by the scores how many samples they train. What they reach belongs to that "
    "number, not to the rate asked for, and is compared with no other.",
    COST: "Means over the seeds. backward: samples trained, in that many steps; forward: all forward passes. Seconds "
    "are wall-clock: training steps, separate scoring passes, selecting. speed-up: seconds of full over the "
    "policy’s; efficiency: the speed-up over that of the samples (backward), where 1 is a selection that costs "
    "nothing; – where full was not run on the same machine. Runs at the same time on one machine slow each other "
    "down. speed-up at equal value, in seconds: the one in samples, divided by the policy’s seconds a sample over "
    "those of plain training, each of the fastest run, which other work on the machine has disturbed least. The "
    "quotient is taken for at least 1, and as disturbance can only make it too large, the upper end of the interval is "
    "not divided: nothing is claimed because a policy was timed in a quieter or a busier hour than plain training.",
}
"""How to read each table."""

OWN_POINT = " A point of a measure of your own is a hundredth of what full reaches."
OWN_SECONDS = (
    " Seconds are those of your loop, from its first batch to the end of its last epoch: what it does between two "
    "epochs is in them, what comes before and after is not."
)
"""What is to be added on a user's own data."""

INTERVALS = (
    "95 %, over seeds, by Student’s t, which holds the truth in 95 % of repetitions with new seeds, also for few, if "
    "the metric value varies about normally from seed to seed; with 2 or 3 seeds it is long for that reason. ±: half "
    "that of the mean. Brackets: that of the difference to the reference at the same rate, paired by seed, and of "
    "gap closed (Fieller’s, from four seeds on). Brackets of a speed-up at equal value, from three seeds on: all "
    "budgets of plain training from which the policy does not differ significantly, paired by seed; ≥ and ≤: it "
    "reaches beyond the longest or the shortest plain run; of those that do not, about 90 % hold at three and four "
    "seeds. How plain training bends between two budgets it does not know. Bold: significantly better than the "
    "reference, the interval leaves out zero. One seed has no interval, nor have seeds that agree to the last digit. "
    "Intervals speak of new seeds, not of another test set, and are not corrected for the number of policies "
    "compared."
)
"""How the intervals are made and what they cover, as ``python -m studies.intervals`` finds."""
