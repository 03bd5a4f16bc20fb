"""A trace in demonstration time."""

from __future__ import annotations

import numpy as np
import pytest

from demo.trace import PEAK, sliced
from trimtab.simulation.csvtrace import Playback, TraceError


def days(count: int, rates: list[float]) -> Playback:
    """Days of equally long steps with these rates."""
    values = np.tile(np.array(rates, dtype=np.float64), count)
    step = 86_400.0 / len(rates)
    return Playback(np.arange(values.size, dtype=np.float64) * step, values, values.size * step)


def test_seconds_are_means_and_the_live_peak_is_scaled() -> None:
    part = sliced(days(8, [10.0, 30.0]), 864.0)
    assert part.rates.size == 800, "a day in 100 seconds"
    assert (part.live_from, part.live.size) == (580, 220)
    assert part.live.max() == PEAK
    assert part.live[-50:] == pytest.approx(np.full(50, PEAK)), "the second half of the last day"
    assert part.live[-100:-50] == pytest.approx(np.full(50, PEAK / 3))


def test_requests_are_conserved() -> None:
    ragged = Playback(np.array([0.0, 100.0, 5000.0]), np.array([1.0, 7.0, 3.0]), 1_000_000.0)
    part = sliced(ragged, 1000.0)
    share = part.rates / part.rates[-1]
    assert float(share.sum()) * 1000.0 * 3.0 == pytest.approx(100 * 1.0 + 4900 * 7.0 + 995_000 * 3.0)


def test_a_short_trace_is_refused_with_a_remedy() -> None:
    with pytest.raises(TraceError, match="--speed"):
        sliced(days(1, [10.0, 30.0]), 864.0)


def test_a_live_part_without_traffic_is_refused() -> None:
    silent = Playback(np.array([0.0, 500_000.0]), np.array([5.0, 0.0]), 1_000_000.0)
    with pytest.raises(TraceError, match="no traffic"):
        sliced(silent, 1000.0)
