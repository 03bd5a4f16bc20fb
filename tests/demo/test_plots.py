"""Plots are well-formed SVG, whatever is in them."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from demo.plots import BLUE, Line, Mark, Panel, Span, plot

TIMES = np.arange(10.0)
LINES: list[Any] = [
    pytest.param(TIMES, id="a line"),
    pytest.param(np.where(TIMES == 5, math.nan, TIMES), id="a gap"),
    pytest.param(np.full(10, math.nan), id="nothing"),
    pytest.param(np.zeros(10), id="zero"),
]


@pytest.mark.parametrize("values", LINES)
@pytest.mark.parametrize("stairs", [True, False])
def test_a_plot_is_well_formed(values: Any, stairs: bool) -> None:
    panel = Panel("requests/s <of> a & b", [Line("a<b", TIMES, values, BLUE, stairs=stairs)], level=3.0)
    text = plot("A & B", [panel, panel], 0.0, 9.0, [Span("s", 1.0, 2.0, BLUE)], [Mark("m", 3.0)])
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")


def test_a_gap_splits_a_line() -> None:
    values = np.where(TIMES == 5, math.nan, TIMES)
    assert plot("", [Panel("", [Line("", TIMES, values, BLUE)])], 0.0, 9.0).count("<polyline") == 2
