"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import trimtab.simulation

MODULES = [it.name for it in pkgutil.iter_modules(trimtab.simulation.__path__) if it.name != "__main__"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"trimtab.simulation.{name}")
    assert doctest.testmod(module).failed == 0
