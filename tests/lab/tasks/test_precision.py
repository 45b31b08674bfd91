"""Every kind of task in bfloat16: the values and gradients of float32 but for rounding, and given in float32."""

import dataclasses

import pytest
import torch
from made_glue import save_encoder, write_cola

from emprune_lab.specs.recipe import Recipe
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import build_task, training_data
from emprune_lab.tasks.contrastive.settings import Contrastive
from emprune_lab.tasks.images.presets import ImageSettings
from emprune_lab.tasks.sentences.presets import SentenceSettings
from emprune_lab.tasks.text.presets import TextSettings

IMAGES = Recipe(model="cnn", epochs=1, batch_size=16, max_lr=0.1, train_size=40, task=ImageSettings())


@pytest.fixture
def spec(request, tmp_path):
    """A small run of the kind asked for, in float32."""
    if request.param == "text":
        (tmp_path / "made.txt").write_text("the sea and the sun of the man. " * 30)
        recipe = dataclasses.replace(IMAGES, model="gpt-1x32", task=TextSettings("characters", window=12))
        return RunSpec("text", "full", 0.0, 0, recipe, data_dir=str(tmp_path / "made.txt"))
    if request.param == "sentences":
        recipe = dataclasses.replace(IMAGES, model=save_encoder(tmp_path / "encoder"), task=SentenceSettings(16))
        return RunSpec("cola", "full", 0.0, 0, recipe, data_dir=str(write_cola(tmp_path)))
    settings = Contrastive(projection=16) if request.param == "views" else ImageSettings()
    return RunSpec("digits", "full", 0.0, 0, dataclasses.replace(IMAGES, task=settings))


def loss_and_gradient(spec, precision):
    """Of the first batch of a run."""
    spec = dataclasses.replace(spec, recipe=dataclasses.replace(spec.recipe, precision=precision))
    task = build_task(spec, training_data(spec), torch.device("cpu"))
    loss = task.forward(task.plain_batch(torch.arange(16))).loss
    loss.mean().backward()
    return loss.detach(), torch.cat([weight.grad.flatten() for weight in task.model.parameters()])


@pytest.mark.parametrize("spec", ["images", "views", "sentences", "text"], indirect=True)
def test_bfloat16_rounds_and_no_more(spec):
    (loss, slope), (exact, exact_slope) = (loss_and_gradient(spec, kind) for kind in ("bfloat16", "float32"))
    assert loss.dtype == slope.dtype == torch.float32
    difference = ((loss - exact).abs() / exact).max()
    assert 1e-5 < difference < 0.05  # float32 alone would be nearer
    assert torch.cosine_similarity(slope, exact_slope, dim=0) > 0.99
