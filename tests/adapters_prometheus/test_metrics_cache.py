"""What is read anew and what is kept."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.adapters_prometheus.prom_support import spec
from trimtab.adapters.metrics_cache import MetricsCache
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed
from trimtab.adapters.signals_requests import SignalRequest
from trimtab.adapters.signals_results import FetchResult, listed_pods
from trimtab.domain.history import LISTED_PODS, WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import Series, empty

NOW = 100_000.0
GRID = 99_960.0
"""The last multiple of 60 s before NOW."""
LENGTH = 7200.0
DOWN = QueryFailed(FailureKind.UNREACHABLE, "down")
NOTHING = QueryFailed(FailureKind.NO_DATA, "nothing")
POLICY = spec(
    "web",
    metrics={"load": {"query": 'sum(hits{svc="$target"})', "targetLabel": "svc"}},
    objectives=[{"name": "p99", "query": 'p99{svc="$target"}', "max": 1}],
)


def answer(request: SignalRequest, value: float = 1.0, **failures: QueryFailed) -> FetchResult:
    """All signals at each point that the request asks for, but for those that fail."""
    failed = {name.replace("_", "/"): failure for name, failure in failures.items()}

    def read(name: str) -> Series:
        if name in failed:
            return empty(60.0)
        start = request.resumed.get(name, request.since)
        return Series(start, 60.0, np.full(round((request.until - start) / 60) + 1, value))

    return FetchResult(
        WorkloadHistory(
            load=read("load"),
            replicas=read("replicas"),
            cpu_size=read("cpuSize"),
            cpu_cores={"app": read("cpu")} if "cpu" not in failed else {},
            memory_bytes={"app": read("memory")} if "memory" not in failed else {},
            objectives={"p99": read("objective/p99")},
        ),
        failed,
    )


def ask(cache: MetricsCache, now: float = NOW, policy: PolicySpec = POLICY, window: float = 300.0) -> SignalRequest:
    return cache.request("uid", "shop", policy, now, window)


def fetch(cache: MetricsCache, now: float = NOW, value: float = 1.0, **failures: QueryFailed) -> WorkloadHistory:
    request = ask(cache, now)
    return cache.absorb(request, answer(request, value, **failures))


def test_at_first_all_history_is_wanted_on_the_grid() -> None:
    request = ask(MetricsCache())
    assert (request.since, request.until, request.step_seconds) == (GRID - LENGTH, GRID, 60.0)
    assert request.resumed == {}


def test_then_only_what_is_new_and_the_last_two_steps() -> None:
    cache = MetricsCache()
    fetch(cache)
    request = ask(cache, NOW + 60)
    assert request.until == GRID + 60
    assert set(request.resumed.values()) == {GRID - 120}
    assert request.resumed.keys() == {"cpu", "memory", "replicas", "cpuSize", "startup", "load", "objective/p99"}


def test_newer_samples_win_and_the_oldest_go() -> None:
    cache = MetricsCache()
    fetch(cache, NOW, 1.0)
    history = fetch(cache, NOW + 60, 2.0)
    assert history.load.start == GRID + 60 - LENGTH
    assert history.load.end == GRID + 60
    assert history.load.values[-5:].tolist() == [1, 2, 2, 2, 2]
    assert len(history.load) == LENGTH / 60 + 1


def test_all_series_have_one_start_and_one_end() -> None:
    cache = MetricsCache()
    fetch(cache, NOW, objective_p99=NOTHING, memory=DOWN)
    history = fetch(cache, NOW + 300, 2.0, replicas=NOTHING)
    series = [history.load, history.replicas, history.cpu_size, history.memory_bytes["app"], history.objectives["p99"]]
    assert {(s.start, s.end, len(s)) for s in series} == {(history.load.start, history.load.end, len(history.load))}
    assert history.memory_bytes["app"].present == len(history.load), "what had failed was read from the beginning"
    assert history.objectives["p99"].present == 8, "what had no data was read from there on"
    assert math.isnan(history.replicas.values[-1])


def test_a_failed_signal_is_read_from_where_it_was_read_last() -> None:
    cache = MetricsCache()
    fetch(cache)
    kept = fetch(cache, NOW + 60, load=DOWN)
    assert kept.load.present == LENGTH / 60, "what is there stays"
    resumed = ask(cache, NOW + 120).resumed
    assert resumed["load"] == GRID - 120
    assert resumed["replicas"] == GRID - 60


CHANGES = {
    "query": ({"metrics": {"load": {"query": "sum(other)"}}}, 300.0, {"load"}),
    "objective": ({"objectives": [{"name": "p99", "query": "other", "max": 1}]}, 300.0, {"objective/p99"}),
    "threshold": ({"objectives": [{"name": "p99", "query": 'p99{svc="$target"}', "max": 2}]}, 300.0, set()),
    "override": ({"metrics": {"load": POLICY.metrics.load, "cpu": {"query": "cpu"}}}, 300.0, {"cpu"}),
}


@pytest.mark.parametrize(("fields", "window", "anew"), CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_signal_alone_is_read_anew(fields: dict[str, Any], window: float, anew: set[str]) -> None:
    cache = MetricsCache()
    fetch(cache)
    parts: dict[str, Any] = {"metrics": POLICY.metrics, "objectives": POLICY.objectives} | fields
    request = ask(cache, NOW, spec("web", **parts), window)
    assert {query.name for query in request.queries} - request.resumed.keys() == anew


@pytest.mark.parametrize(
    "policy",
    [
        spec("web", analysis={"interval": "30s", "history": "2h"}),
        spec("web", analysis={"interval": "60s", "history": "4h"}),
    ],
    ids=["another step", "more history"],
)
def test_another_grid_is_read_anew(policy: PolicySpec) -> None:
    cache = MetricsCache()
    fetch(cache)
    assert ask(cache, NOW, policy).resumed == {}


def test_another_target_or_window_is_read_anew() -> None:
    cache = MetricsCache()
    fetch(cache)
    assert ask(cache, policy=spec("api", metrics=POLICY.metrics, objectives=POLICY.objectives)).resumed == {}
    assert ask(cache, window=600.0).resumed == {}


def test_samples_of_a_former_query_are_not_mixed_with_new_ones() -> None:
    cache = MetricsCache()
    fetch(cache)
    changed = spec("web", metrics={"load": {"query": "sum(other)"}}, objectives=POLICY.objectives)
    request = ask(cache, NOW, changed)
    assert len(cache.absorb(request, answer(request, load=DOWN)).load) == 0
    assert "load" not in ask(cache, NOW, changed).resumed


def test_less_history_cuts_what_there_is() -> None:
    cache = MetricsCache()
    fetch(cache)
    shorter = spec(
        "web", metrics=POLICY.metrics, objectives=POLICY.objectives, analysis={"interval": "60s", "history": "1h"}
    )
    request = ask(cache, NOW, shorter)
    assert len(cache.absorb(request, answer(request)).load) == 61


def test_a_young_workloads_history_begins_with_its_first_sample() -> None:
    cache = MetricsCache()
    request = ask(cache)
    whole = answer(request)
    values = np.where(np.arange(len(whole.history.load)) < 100, np.nan, 1.0)
    load = replace(whole.history.load, values=values)
    young = WorkloadHistory(load=load, replicas=empty(60.0), cpu_size=empty(60.0))
    history = cache.absorb(request, FetchResult(young))
    assert history.load.start == request.since + 100 * 60
    assert history.load.present == len(history.load) == 21


def test_a_startup_time_once_seen_stays() -> None:
    cache = MetricsCache()
    request = ask(cache)
    seen = answer(request)
    cache.absorb(request, replace(seen, history=replace(seen.history, startup_seconds=12.0)))
    assert fetch(cache, NOW + 60).startup_seconds == 12.0


def test_memory_is_what_the_docs_say_and_is_freed() -> None:
    cache = MetricsCache()
    fetch(cache)
    assert cache.memory_bytes == 8 * (LENGTH / 60 + 1) * (3 + 1 + 2)
    cache.keep_only(["uid"])
    assert cache.memory_bytes > 0
    cache.keep_only([])
    assert cache.memory_bytes == 0
    assert ask(cache).resumed == {}


def test_throttling_is_read_from_the_beginning_and_forgotten_after_the_trial() -> None:
    cache = MetricsCache()
    fetch(cache)
    request = cache.request("uid", "shop", POLICY, NOW + 60, 300.0, throttling=True)
    assert "throttled" not in request.resumed
    assert "cpu" in request.resumed
    read = answer(request)
    seen = replace(
        read, history=replace(read.history, throttled={"app": Series(request.until - 60, 60.0, np.array([0.1, 0.3]))})
    )
    assert cache.absorb(request, seen).throttled["app"].at(request.until) == pytest.approx(0.3)
    assert fetch(cache, NOW + 120).throttled == {}


def test_a_pod_that_was_not_listed_is_missed_as_long_as_its_time_is_asked_for() -> None:
    """Counts are read again from further back than the ready replicas that they are laid beside."""
    cache = MetricsCache()
    at = GRID - 120.0

    def listed(now: float) -> WorkloadHistory:
        request = cache.request("uid", "shop", POLICY, now, 300.0, counted_since=at - 600.0)
        found = answer(request, 6.0)
        start = min(at - 600.0, request.since)
        counts = np.full(round((request.until - start) / 60) + 1, 6.0)
        counts[round((at - start) / 60)] = 3.0
        coverage = {LISTED_PODS: listed_pods(Series(start, 60.0, counts), found.history.replicas, 300.0)}
        return cache.absorb(request, replace(found, history=replace(found.history, coverage=coverage)))

    missing = [listed(NOW + 60.0 * step).coverage[LISTED_PODS].missing(at) for step in range(8)]
    assert missing == [(3, 6)] * 8


def test_the_history_tells_up_to_when_each_signal_was_read() -> None:
    cache = MetricsCache()
    fetch(cache)
    request = cache.request("uid", "shop", POLICY, NOW + 60, 300.0, throttling=True)
    read_to = cache.absorb(request, answer(request, cpu=DOWN, memory=NOTHING, throttled=DOWN)).read_to
    assert (read_to["load"], read_to["cpu"], read_to["memory"]) == (GRID + 60, GRID, GRID + 60)
    assert "throttled" not in read_to
