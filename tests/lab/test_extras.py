"""A package of an extra that is not installed."""

import sys

import pytest

from emprune.errors import DataError
from emprune_lab.extras import needed


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError, match=r"\./lab\[language\]"):
        needed("tokenizers", "language")
