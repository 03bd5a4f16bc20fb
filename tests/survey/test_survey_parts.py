"""What a survey is made of, without a Prometheus."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from trimtab.adapters.discovery import FoundWorkload
from trimtab.domain.choices import TargetKind
from trimtab.domain.status import Amounts, ContainerSize
from trimtab.planning.rightsizing import Usage
from trimtab.survey.examining import without_data
from trimtab.survey.gathering import batches
from trimtab.survey.options import SurveyOptions
from trimtab.survey.plotting import largest
from trimtab.survey.sizing import container_entry, pod_sizing

MIB = 2.0**20


def found(name: str, namespace: str = "shop", replicas: int = 1) -> FoundWorkload:
    return FoundWorkload(namespace, TargetKind.DEPLOYMENT, name, replicas, ())


def sized(cpu: str = "", memory: str = "", cpu_limit: str = "", memory_limit: str = "") -> ContainerSize:
    limits = Amounts(cpu=cpu_limit, memory=memory_limit)
    return ContainerSize(name="app", requests=Amounts(cpu=cpu, memory=memory), limits=limits)


@pytest.mark.parametrize(
    ("size", "usage", "cpu", "memory"),
    [
        pytest.param(sized("500m", "1Gi"), Usage(0.2, 400 * MIB), 0.23, 480, id="p95 and 15 %, peak and 20 %"),
        pytest.param(sized("230m", "500Mi"), Usage(0.2, 400 * MIB), 0.23, 500, id="within a tenth it stays"),
        pytest.param(sized(), Usage(0.2, 400 * MIB), 0.23, 480, id="no request is set"),
        pytest.param(sized("500m", cpu_limit="200m"), Usage(0.4, 400 * MIB), 0.2, 480, id="never above a CPU limit"),
        pytest.param(sized("500m", "1Gi"), Usage(math.nan, math.nan), math.nan, math.nan, id="usage unknown"),
        pytest.param(sized("500m", "1Gi"), None, math.nan, math.nan, id="never seen"),
        pytest.param(sized("500m", "1Gi"), Usage(0.0, 0.0), 0.01, math.nan, id="uses nothing"),
    ],
)
def test_sizes_follow_usage_as_a_policy_would(
    size: ContainerSize, usage: Usage | None, cpu: float, memory: float
) -> None:
    entry = container_entry(size, usage)
    assert entry.cpu.recommended == pytest.approx(cpu, nan_ok=True)
    assert entry.memory.recommended / MIB == pytest.approx(memory, nan_ok=True)


def test_a_pod_counts_a_container_without_recommendation_as_it_is() -> None:
    known = container_entry(sized("500m", "1Gi"), Usage(0.2, 400 * MIB)).cpu
    unknown = container_entry(sized("100m", "1Gi"), None).cpu
    assert pod_sizing((known, unknown)).recommended == pytest.approx(0.33)
    assert math.isnan(pod_sizing((unknown,)).recommended)


def test_batches_keep_a_namespace_together_where_it_fits() -> None:
    workloads = [
        found(f"w-{n}", namespace) for namespace, count in (("a", 3), ("b", 4), ("c", 11)) for n in range(count)
    ]
    sizes = [[one.namespace for one in batch] for batch in batches(workloads, most=5)]
    assert sizes == [["a"] * 3, ["b"] * 4, ["c"] * 5, ["c"] * 5, ["c"]]
    assert [one for batch in batches(workloads, most=5) for one in batch] == workloads


def test_small_namespaces_share_a_batch() -> None:
    workloads = [found("w", f"ns-{n}") for n in range(7)]
    assert [len(batch) for batch in batches(workloads, most=5)] == [5, 2]


@pytest.mark.parametrize(
    ("options", "step", "window"),
    [
        pytest.param(SurveyOptions(), 300.0, 300.0, id="a week"),
        pytest.param(SurveyOptions(history_seconds=3600.0), 60.0, 300.0, id="an hour"),
        pytest.param(SurveyOptions(history_seconds=90 * 86400.0), 3600.0, 3600.0, id="three months"),
        pytest.param(SurveyOptions(history_seconds=8784 * 3600.0), 3600.0, 3600.0, id="a year"),
        pytest.param(SurveyOptions(scrape_interval_seconds=120.0, step_seconds=60.0), 60.0, 480.0, id="slow scrapes"),
    ],
)
def test_step_and_window_fit_the_history(options: SurveyOptions, step: float, window: float) -> None:
    assert (options.step, options.window_seconds) == (step, window)


def test_selectors_are_globs_of_names() -> None:
    options = SurveyOptions(selectors=("web-*", "db"))
    assert [name for name in ("web-1", "db", "db-1", "my-web-1") if options.selects(found(name))] == ["web-1", "db"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(SurveyOptions(history_seconds=60.0, step_seconds=300.0), id="step longer than history"),
        pytest.param(SurveyOptions(horizon_seconds=1e9), id="horizon of decades"),
    ],
)
def test_options_that_cannot_be_are_refused(options: SurveyOptions) -> None:
    with pytest.raises(ValidationError):
        options.check()


def test_without_data_names_the_query() -> None:
    entry = without_data(found("web"), {"cpu": "no data: query X returned nothing"})
    assert entry.message == "no data: query X returned nothing"
    assert entry.query.startswith("container_cpu_usage_seconds_total")


def test_thinning_keeps_every_peak() -> None:
    values = np.full(1000, 1.0)
    values[777] = 9.0
    values[100:110] = np.nan
    thinned = largest(values, 10)
    assert thinned.size == 100
    assert thinned[77] == 9.0
    assert np.isnan(thinned[10])
