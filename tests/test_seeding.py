"""Random numbers depend on (seed, epoch, purpose) and on nothing else."""

from __future__ import annotations

from emprune.seeding import derive_seed, generator


def test_every_seed_epoch_and_purpose_has_its_own_stream() -> None:
    keys = [(s, e, p) for s in range(6) for e in range(-1, 6) for p in ("select", "order")]
    assert len({derive_seed(*key) for key in keys}) == len(keys)
    assert len({generator(*key).integers(2**62) for key in keys}) == len(keys)


def test_no_two_keys_are_joined_to_the_same_text() -> None:
    assert derive_seed(1, 11, "select") != derive_seed(11, 1, "select")
    assert derive_seed(1, -1, "select") != derive_seed(1, 1, "select")


def test_the_same_key_gives_the_same_stream_and_no_generator_is_shared() -> None:
    first = generator(3, 4, "select").random(5).tolist()
    assert generator(3, 4, "select").random(5).tolist() == first


def test_the_width_is_kept() -> None:
    assert all(derive_seed(0, epoch, "workers", bits=32) < 2**32 for epoch in range(200))
    assert max(derive_seed(0, epoch, "select") for epoch in range(200)) > 2**120
