"""What of the histories is to be stored, and how a history goes on from what was stored."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.adapters_prometheus.prom_support import spec
from tests.adapters_prometheus.test_metrics_cache import DOWN, GRID, LENGTH, NOTHING, NOW, POLICY, answer, ask, fetch
from trimtab.adapters import metrics_cache
from trimtab.adapters.metrics_cache import MetricsCache, Readings, Slot, Unsaved
from trimtab.adapters.signals_requests import SignalRequest
from trimtab.domain.series import Series

LOAD = Slot("load", "", "load")


def taken(cache: MetricsCache) -> Unsaved:
    found = cache.take_unsaved("uid")
    assert found is not None
    return found


def stored(now: float = NOW) -> Unsaved:
    """What a cache that has read all leaves to the store."""
    cache = MetricsCache()
    fetch(cache, now)
    return taken(cache)


def restored(unsaved: Unsaved, now: float = NOW) -> MetricsCache:
    cache = MetricsCache()
    assert cache.restore("uid", unsaved.readings, unsaved.series, now)
    return cache


def test_at_first_all_is_to_be_stored_and_then_what_was_read_since() -> None:
    cache = MetricsCache()
    fetch(cache)
    assert taken(cache).whole
    assert cache.take_unsaved("uid") is None
    fetch(cache, NOW + 60)
    more = taken(cache)
    assert not more.whole
    assert set(more.since.values()) == {GRID - 120}
    assert more.readings.read_to["load"] == GRID + 60


def test_what_could_not_be_stored_is_to_be_stored_with_what_came_since() -> None:
    cache = MetricsCache()
    fetch(cache)
    taken(cache)
    fetch(cache, NOW + 60)
    lost = taken(cache)
    fetch(cache, NOW + 120)
    cache.put_back("uid", lost)
    assert set(taken(cache).since.values()) == {GRID - 120}
    cache.nothing_is_stored()
    assert taken(cache).whole


def test_what_could_not_be_stored_of_a_policy_that_is_gone_is_gone() -> None:
    cache = MetricsCache()
    fetch(cache)
    lost = taken(cache)
    cache.keep_only([])
    cache.put_back("uid", lost)
    assert cache.take_unsaved("uid") is None


def test_a_signal_that_is_read_from_another_place_is_stored_whole() -> None:
    cache = MetricsCache()
    fetch(cache)
    taken(cache)
    changed = spec("web", metrics={"load": {"query": "sum(other)"}}, objectives=POLICY.objectives)
    request = ask(cache, NOW + 60, changed)
    cache.absorb(request, answer(request, memory=NOTHING))
    more = taken(cache)
    assert more.since[LOAD] == -math.inf
    assert LOAD in more.series
    request = ask(cache, NOW + 120)
    cache.absorb(request, answer(request, load=DOWN))
    gone = taken(cache)
    assert gone.since[LOAD] == -math.inf
    assert LOAD not in gone.series


def test_a_restored_history_goes_on_where_it_was_read_to() -> None:
    cache = restored(stored(), NOW + 600)
    assert cache.take_unsaved("uid") is None, "it is stored already"
    request = ask(cache, NOW + 600)
    assert set(request.resumed.values()) == {GRID - 120}
    assert request.resumed.keys() == {"cpu", "memory", "replicas", "cpuSize", "startup", "load", "objective/p99"}
    history = cache.absorb(request, answer(request, 2.0))
    assert history.load.present == len(history.load) == LENGTH / 60 + 1
    assert history.load.values[-13:].tolist() == [2.0] * 13
    assert history.objectives["p99"].values[0] == 1.0
    assert set(taken(cache).since.values()) == {GRID - 120}


def test_a_restored_history_is_the_one_that_was_stored() -> None:
    cache = MetricsCache()
    fetch(cache, objective_p99=NOTHING)
    other = restored(taken(cache))
    assert repr(fetch(cache, NOW + 60, 3.0)) == repr(fetch(other, NOW + 60, 3.0))


@pytest.mark.parametrize(
    ("policy", "window", "anew"),
    [
        pytest.param(POLICY, 300.0, set(), id="as it was"),
        pytest.param(POLICY, 600.0, {"load", "cpu", "objective/p99"}, id="window"),
        pytest.param(spec("api", metrics=POLICY.metrics, objectives=POLICY.objectives), 300.0, {"load"}, id="target"),
        pytest.param(
            spec("web", metrics={"load": {"query": "sum(other)"}}, objectives=POLICY.objectives),
            300.0,
            {"load"},
            id="query",
        ),
    ],
)
def test_what_is_asked_otherwise_is_read_anew(policy: object, window: float, anew: set[str]) -> None:
    request = ask(restored(stored()), NOW, policy, window)  # type: ignore[arg-type]  # a PolicySpec
    assert anew <= {query.name for query in request.queries} - request.resumed.keys()
    assert bool(anew) or request.resumed


def test_another_default_query_of_a_newer_version_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = restored(stored())
    monkeypatch.setattr(metrics_cache, "default_query", lambda *_: "sum(another)")
    metrics_cache._digest.cache_clear()
    try:
        resumed = ask(cache).resumed
    finally:
        metrics_cache._digest.cache_clear()
    assert resumed.keys() == {"load", "objective/p99"}


READINGS = stored().readings


@pytest.mark.parametrize(
    ("readings", "now"),
    [
        pytest.param(READINGS, NOW - 3600, id="read in the future: the clock was wrong, or moved back"),
        pytest.param(replace(READINGS, step_seconds=0.0), NOW, id="no step"),
        pytest.param(replace(READINGS, step_seconds=math.nan), NOW, id="a step that is no number"),
        pytest.param(replace(READINGS, read_to={"load": math.nan}), NOW, id="a time that is no number"),
        pytest.param(replace(READINGS, read_to={"load": math.inf}), NOW, id="a time without end"),
        pytest.param(replace(READINGS, origins={}), NOW, id="from nowhere"),
    ],
)
def test_what_cannot_be_true_is_read_anew(readings: Readings, now: float) -> None:
    cache = MetricsCache()
    assert not cache.restore("uid", readings, {}, now)
    assert ask(cache, now).resumed == {}


def short(request: SignalRequest, minutes: int) -> SignalRequest:
    """The same request, answered by a Prometheus that keeps no more."""
    return replace(request, since=request.until - minutes * 60)


def test_older_samples_go_before_what_was_read_while_the_store_was_away() -> None:
    before = stored()
    cache = MetricsCache()
    request = short(ask(cache, NOW + 60), 10)
    cache.absorb(request, answer(request, 2.0))
    assert cache.restore("uid", before.readings, before.series, NOW + 60)
    assert taken(cache).whole
    values = fetch(cache, NOW + 120, 3.0).load.values
    assert values.tolist() == [1.0] * 109 + [2.0] * 8 + [3.0] * 4


def test_nothing_is_put_before_samples_of_another_origin() -> None:
    cache = MetricsCache()
    request = short(ask(cache, NOW, window=600.0), 10)
    cache.absorb(request, answer(request, 2.0))
    before = stored()
    assert not cache.restore("uid", before.readings, before.series, NOW)


def test_places_are_read_as_they_are_written() -> None:
    for slot in (LOAD, Slot("cpu_cores", "app", "cpu"), Slot("objectives", "p99", "objective/p99")):
        assert Slot.parse(slot.text) == slot
    for text in ("", "load", "other/a/b"):
        with pytest.raises(ValueError, match=r"unpack|no place"):
            Slot.parse(text)


def test_a_restored_series_need_not_begin_with_the_others() -> None:
    unsaved = stored()
    late = unsaved.series | {LOAD: unsaved.series[LOAD].between(GRID - 600, GRID)}
    history = fetch(restored(replace(unsaved, series=late)), NOW + 60)
    assert len(history.load) == len(history.replicas)
    assert history.load.present == 12
    assert isinstance(history.load, Series)
    assert np.isnan(history.load.values[0])


def test_examples() -> None:
    assert doctest.testmod(metrics_cache).failed == 0
