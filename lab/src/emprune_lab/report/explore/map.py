"""The map of the training set: loss against memory term, coloured by training count; hovering shows the sample."""

from __future__ import annotations

from emprune_lab.report.explorable import View
from emprune_lab.report.samples import LOWEST, data

VIEW = View(
    name="map",
    title="Loss against memory term",
    caption="Training samples under the final model of the highest rate’s first seed: loss, and memory term "
    "(with labels the entropy of the prediction), coloured by how often they were trained; of a function of your own "
    "both are what its steps last saw, and samples never seen are left out. With labels, lower "
    "left: mastered; top: ambiguous; lower right: confidently wrong, the place of label errors. Crosses are "
    "samples known to have a wrong label. Left of the vertical line (ln 2) a sample is surely predicted as "
    f"labelled; the horizontal one is the highest possible entropy; values below {LOWEST:g} nats are drawn at "
    "that. Of contrastive runs both are read within batches; left: distinguished from all others. Of large sets, "
    "a random part has its picture in the page, and of several settings a random part is drawn; the samples of "
    "the contact sheet always are. Of many policies six can be chosen.",
    data=data,
    applies=lambda comparison: bool(comparison.scored_example),
    replaces=("map",),
    order=70,
)
