"""Shifted and mirrored images: whole ones, by seed, epoch and position."""

import torch

from emprune_lab.tasks.images.augment import ShiftAndFlip


def test_augmentation_shifts_and_mirrors_whole_images():
    image = torch.arange(25.0).reshape(1, 1, 5, 5)
    images, augment = image.expand(200, 1, 5, 5), ShiftAndFlip(1, seed=0)
    batch = augment(images, epoch=0, position=0)
    padded = torch.nn.functional.pad(image, (1,) * 4, mode="reflect")[0, 0]
    windows = [padded[i : i + 5, j : j + 5] for i in range(3) for j in range(3)]
    allowed = {tuple(w.flatten().tolist()) for w in windows} | {tuple(w.flip(1).flatten().tolist()) for w in windows}
    assert {tuple(one.flatten().tolist()) for one in batch} == allowed
    assert torch.equal(batch, ShiftAndFlip(1, seed=0)(images, epoch=0, position=0))
    assert not torch.equal(batch, augment(images, epoch=1, position=0))


def test_augmentation_drawn_ahead_is_that_of_each_batch():
    images, ahead = torch.rand(10, 2, 6, 6), ShiftAndFlip(2, seed=3, ahead=3)
    steps = [(0, 0, 4), (0, 4, 4), (0, 8, 2), (1, 0, 4), (1, 12, 4), (0, 4, 4)]  # the last batch is smaller
    for epoch, position, size in steps:
        alone = ShiftAndFlip(2, seed=3)(images[:size], epoch, position)
        assert torch.equal(ahead(images[:size], epoch, position), alone)
