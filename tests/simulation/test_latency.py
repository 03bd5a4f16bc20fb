"""The latency distribution against formulas worked by hand and numerical integration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from trimtab.domain.series import FloatArray
from trimtab.simulation.latency import Answers, Latency, sojourn
from trimtab.simulation.service import BUCKETS_SECONDS


def cell(value: float) -> FloatArray:
    return np.array([[float(value)]])


def queue(arrivals: float, capacity: float, servers: float = 1.0, shift: float = 0.0) -> Latency:
    return sojourn(cell(arrivals), cell(capacity), cell(servers), cell(shift))


def quantile(
    latency: Latency, probability: float, timeout: float = 60.0, answered: float = 1.0, abandoned: float = 0.0
) -> float:
    answers = Answers(latency, cell(answered), cell(abandoned), cell(timeout))
    return float(answers.quantiles(probability)[0, 0])


@pytest.mark.parametrize("load", [1.0, 30.0, 50.0, 60.0, 95.0])
def test_one_server_is_mm1(load: float) -> None:
    """P(T > t) = exp(-(100 - load) t): median ln 2 / (100 - load), p99 ln 100 / (100 - load), mean 1 / (100 - load)."""
    latency = queue(load, 100)
    assert quantile(latency, 0.5) == pytest.approx(math.log(2) / (100 - load), rel=1e-4)
    assert quantile(latency, 0.99) == pytest.approx(math.log(100) / (100 - load), rel=1e-4)
    assert float(latency.mean()[0, 0]) == pytest.approx(1 / (100 - load), rel=1e-4)


def erlang_c(servers: int, offered: float) -> float:
    """The share that waits in M/M/c (Harchol-Balter 2013, chapter 14)."""
    busy = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return busy / (sum(offered**k / math.factorial(k) for k in range(servers)) + busy)


@pytest.mark.parametrize(("servers", "utilisation"), [(2, 0.5), (2, 0.9), (4, 0.8), (8, 0.9)])
def test_several_servers_are_near_mmc(servers: int, utilisation: float) -> None:
    """Mean time 1/v + C / (c v - lambda); Sakasegawa's approximation is good to a few percent of it."""
    capacity = 100.0 * servers
    exact = 1 / 100 + erlang_c(servers, servers * utilisation) / (capacity * (1 - utilisation))
    assert float(queue(utilisation * capacity, capacity, servers).mean()[0, 0]) == pytest.approx(exact, rel=0.05)


def test_a_shift_moves_everything() -> None:
    assert quantile(queue(60, 100, shift=0.2), 0.99) == pytest.approx(0.2 + math.log(100) / 40, rel=1e-5)


def test_equal_rates_are_no_singularity() -> None:
    """c = 2, v = 50, lambda = 50: the wait has the rate of the service."""
    just_below, equal, just_above = (quantile(queue(load, 100, 2), 0.99) for load in (49.99, 50.0, 50.01))
    assert just_below < equal < just_above


loads = st.floats(0.0, 0.98)
servers_range = st.floats(1.0, 32.0)


@given(loads, servers_range, st.floats(0.01, 0.999))
def test_a_quantile_is_where_the_tail_is(load: float, servers: float, probability: float) -> None:
    latency = queue(load * 100, 100, servers)
    found = quantile(latency, probability, timeout=1e4)
    assert float(latency.tail(cell(found))[0, 0]) == pytest.approx(1 - probability, rel=1e-3)


@given(loads, loads, servers_range, st.floats(0.001, 5))
def test_more_load_is_never_faster(one: float, other: float, servers: float, seconds: float) -> None:
    low, high = sorted((one, other))
    tails = [float(queue(load * 100, 100, servers).tail(cell(seconds))[0, 0]) for load in (low, high)]
    assert tails[0] <= tails[1] + 1e-9


@given(loads, servers_range, st.floats(0, 1), st.floats(0.05, 10))
def test_the_mean_up_to_a_limit_is_the_integral_of_the_tail(
    load: float, servers: float, shift: float, limit: float
) -> None:
    latency = queue(load * 100, 100, servers, shift)
    integral, _ = quad(lambda t: float(latency.tail(cell(t))[0, 0]), 0, limit, points=[min(shift, limit)], limit=200)
    assert float(latency.mean_until(cell(limit))[0, 0]) == pytest.approx(integral, rel=1e-3, abs=1e-6)


def test_a_stretched_distribution_has_stretched_quantiles() -> None:
    latency = queue(60, 100, 2, 0.01)
    assert quantile(latency.stretched(cell(3.0)), 0.99) == pytest.approx(3 * quantile(latency, 0.99), rel=1e-5)


def test_two_groups_mix_by_their_requests() -> None:
    """90 requests at rate 100 and 10 at rate 10: P(T > t) = 0.9 exp(-100 t) + 0.1 exp(-10 t)."""
    parts = [queue(0, 100), queue(0, 10)]
    both = Latency(*(np.concatenate(fields) for fields in zip(*(vars(part).values() for part in parts), strict=True)))
    answers = Answers(both, np.array([[90.0], [10.0]]), np.zeros((2, 1)), np.full((2, 1), 60.0))
    found = float(answers.quantiles(0.95)[0, 0])
    assert 0.9 * math.exp(-100 * found) + 0.1 * math.exp(-10 * found) == pytest.approx(0.05, rel=1e-3)


def test_requests_given_up_count_at_the_timeout() -> None:
    latency = queue(60, 100)
    assert quantile(latency, 0.99, timeout=5, answered=95, abandoned=5) == pytest.approx(5)
    assert quantile(latency, 0.5, timeout=5, answered=95, abandoned=5) < 0.1


def test_without_requests_there_is_no_quantile() -> None:
    assert math.isnan(quantile(queue(0, 100), 0.99, answered=0))


@given(loads, servers_range, st.floats(0, 40), st.floats(0, 100), st.floats(0, 10))
def test_a_histogram_never_falls_and_ends_with_everything(
    load: float, servers: float, shift: float, answered: float, abandoned: float
) -> None:
    answers = Answers(queue(load * 100, 100, servers, shift), cell(answered), cell(abandoned), cell(10))
    counts = answers.within(BUCKETS_SECONDS)[0, 0]
    assert (np.diff(counts) >= 0).all()
    assert counts[0] >= 0
    assert counts[-1] == pytest.approx(answered + abandoned)


def test_histogram_of_mm1_by_hand() -> None:
    """1000 requests at mu - lambda = 40: 1000 (1 - exp(-40 x 0.005)) of them within 5 ms."""
    counts = Answers(queue(60, 100), cell(1000), cell(0), cell(60)).within(BUCKETS_SECONDS)[0, 0]
    assert counts[0] == pytest.approx(1000 * (1 - math.exp(-0.2)), rel=1e-4)
