"""How each policy looks: like no other, in any company."""

from emprune.policies import REGISTRY
from emprune_lab.report.palette import NAMED, looks
from emprune_lab.subsets.static import LABELS


def test_every_policy_and_many_unknown_labels_look_different():
    known = ["full", "short", *REGISTRY, *LABELS]
    found = looks([*known, *(f"mine:{number}" for number in range(30))])
    assert len(set(found.values())) == len(found) == len(dict.fromkeys(known)) + 30
    pairs = [(look.colour, look.marker) for look in found.values()]
    assert len(set(pairs)) == len(pairs)
    assert len({look.colour for look in NAMED.values()}) == len(NAMED)


def test_a_look_does_not_depend_on_company_and_no_number_of_labels_fails():
    assert looks(["emp", "lfl"])["emp"] == looks(["full", "rs2", "lfl", "emp", "mine"])["emp"]
    labels = [f"mine:{number}" for number in range(300)]
    assert list(looks(labels)) == labels
