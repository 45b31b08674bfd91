"""Two views: seeded by (seed, epoch, position) alone, inside the range, really random, for grey and coloured images."""

import subprocess
import sys

import pytest
import torch

from emprune.errors import DataError
from emprune_lab.tasks.contrastive import views as module
from emprune_lab.tasks.contrastive.views import plain_views, two_views


def images_of(count=16, channels=1, size=12, seed=0):
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.rand(count, channels, size, size, generator=rng)
    return pixels.mul(2).sub(1).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shape_range_and_layout(channels):
    images = images_of(channels=channels)
    before = images.clone()
    for view in two_views(images, 0, 1, 0):
        assert view.shape == images.shape
        assert view.dtype == torch.float32
        assert view.is_contiguous(memory_format=torch.channels_last)
        assert -1 <= view.min() < view.max() <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("channels", [1, 3])
def test_views_depend_on_seed_epoch_and_position_alone(channels):
    images = images_of(channels=channels)
    views = torch.cat(two_views(images, 3, 1, 32))
    torch.manual_seed(9)
    two_views(images, 3, 1, 48)
    torch.rand(7)
    assert torch.equal(torch.cat(two_views(images, 3, 1, 32)), views)
    for other in ((4, 1, 32), (3, 2, 32), (3, 1, 33)):
        assert not torch.equal(torch.cat(two_views(images, *other)), views)


def test_the_global_generator_is_left_as_it_was():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    two_views(images_of(), 0, 1, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_plain_views_are_those_of_no_training_epoch():
    images = images_of()
    plain = torch.cat(plain_views(images, 0, 16))
    assert torch.equal(torch.cat(plain_views(images, 0, 16)), plain)
    assert not torch.equal(torch.cat(plain_views(images, 0, 17)), plain)
    for epoch in range(3):
        assert not torch.equal(torch.cat(two_views(images, 0, epoch, 16)), plain)


def test_every_image_has_two_views_of_its_own():
    same = images_of(1, size=28).expand(64, 1, 28, 28)
    views = torch.cat(two_views(same, 0, 1, 0)).flatten(1)
    assert len(views.unique(dim=0)) == 128


@pytest.mark.parametrize("channels", [1, 3])
def test_an_even_image_stays_even(channels):
    """No border of zeros comes in, and nothing but its brightness and colour changes."""
    even = torch.full((64, channels, 12, 12), 0.2)
    for view in two_views(even, 0, 1, 0):
        spread = view.flatten(2).amax(2) - view.flatten(2).amin(2)
        assert spread.max() < 1e-5


def test_crops_keep_what_is_where_and_half_are_mirrored():
    """A ramp from left to right stays a ramp; its slope is at most the image's, and its sign tells of mirroring."""
    ramp = torch.linspace(-0.2, 0.2, 12).expand(512, 1, 12, 12)
    views = torch.cat(two_views(ramp, 0, 1, 0))
    across = (views[..., -1] - views[..., 0]).mean(dim=(1, 2))
    down = (views[:, :, -1] - views[:, :, 0]).abs().amax()
    assert down < 1e-5
    assert 0.45 < (across < 0).float().mean() < 0.55
    assert across.abs().max() < 0.4 * 1.4**2
    assert across.abs().min() > 0.4 * 0.3 * 0.6**2
    assert across.abs().median() < 0.4 * 0.82


def test_some_coloured_images_become_grey():
    views = torch.cat(two_views(images_of(512, channels=3), 0, 1, 0))
    grey = (views.amax(1) - views.amin(1)).flatten(1).amax(1) < 1e-5
    assert 0.15 < grey.float().mean() < 0.25


def test_the_views_of_an_image_stand_where_it_stands():
    dark_and_light = torch.tensor([-0.9, 0.5]).repeat(32)[:, None, None, None].expand(64, 1, 12, 12)
    for view in two_views(dark_and_light, 0, 1, 0):
        assert ((view > -0.5).float().mean(dim=(1, 2, 3)) == torch.tensor([0.0, 1.0]).repeat(32)).all()


def test_an_image_may_be_alone():
    assert two_views(images_of(1), 0, 1, 0)[1].shape == (1, 1, 12, 12)


def test_without_kornia_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia.augmentation", None)
    module._augmentation.cache_clear()
    with pytest.raises(DataError, match=r"\./lab\[contrastive\]"):
        two_views(images_of(), 0, 1, 0)


def test_kornia_is_imported_when_it_is_needed():
    code = "import sys, emprune_lab.tasks.contrastive.views; sys.exit('kornia' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
