"""What is decided and what is stored is the same whatever processor the operator happens to run on.

OpenBLAS sums in another order with each processor's kernel, and numpy's vector units round and order equal numbers each
in their own way. Both can be told to work as on an older processor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tests.planning.decisions import exact, plain
from trimtab.analytics.change_points import change_points
from trimtab.analytics.detection import detect
from trimtab.domain.choices import Sensitivity
from trimtab.domain.series import Series
from trimtab.forecasting.forecast import Forecast, forecast

ROOT = Path(__file__).parents[2]
OLD_VECTORS = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"
"""numpy's names for what processors of before 2013 have not."""
NAMED = {"Prescott": "Katmai"}
"""OpenBLAS tells its oldest kernel for 64 bits, that of Prescott, by the first processor on its list for it."""


def _offered() -> set[str]:
    """What this processor can do; empty where it is not one of the x86 family."""
    told = Path("/proc/cpuinfo")
    flags = [line for line in told.read_text().splitlines() if line.startswith("flags")] if told.exists() else []
    return set(flags[0].split()) if flags else set()


needs_kernels = pytest.mark.skipif(
    not {"avx2", "fma"} <= _offered(), reason="OpenBLAS has these kernels for x86 processors with AVX2 only"
)


def _decided_under(*processors: tuple[str, str]) -> list[Any]:
    """All decisions of processes that take each a kernel of OpenBLAS, and go without some vector units of numpy's."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.planning.decisions"],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT / "operator"), str(ROOT)]),
                "OPENBLAS_CORETYPE": kernel,
                "NPY_DISABLE_CPU_FEATURES": without,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for kernel, without in processors
    ]
    found = []
    for child, (kernel, _) in zip(children, processors, strict=True):
        output, _ = child.communicate()
        assert child.returncode == 0, "it told why on the standard error output"
        told = json.loads(output)
        assert told["kernels"] == [NAMED.get(kernel, kernel)], "OpenBLAS took the kernel that it was told to"
        found.append(told["decided"])
    return found


@needs_kernels
def test_decisions_and_what_is_stored_are_alike_on_all_processors() -> None:
    newest = [("SkylakeX", "")] if "avx512f" in _offered() else []
    old, *others = _decided_under(("Prescott", OLD_VECTORS), ("Haswell", ""), *newest)
    for new in others:
        assert new.keys() == old.keys()
        assert {name: told for name, told in new.items() if told != old[name]} == {
            name: told for name, told in old.items() if told != new[name]
        }


@needs_kernels
def test_this_run_takes_the_kernel_that_it_was_told_to() -> None:
    wanted = os.environ.get("OPENBLAS_CORETYPE")
    if wanted is None:
        pytest.skip("OPENBLAS_CORETYPE is not set: the processor's own kernel is taken")
    taken = {one["architecture"] for one in threadpool_info() if one["user_api"] == "blas"}
    assert taken == {NAMED.get(wanted, wanted)}


@pytest.mark.parametrize("factor", [1.0 / 3.0, 1e-6, 1e9])
@pytest.mark.parametrize("name", exact())
def test_a_unit_decides_nothing(name: str, factor: float) -> None:
    """Another unit changes the last digit of every sample, and no decision."""
    values = exact()[name]

    def decided(scale: float) -> Any:
        series = Series(0.0, 300.0, values * scale)
        ahead = forecast(series, now=series.end, horizon_seconds=6000.0)
        assert isinstance(ahead, Forecast)
        changes = [(one.time, one.kind, one.confidence_percent) for one in change_points(series)]
        anomalies = [(one.start, one.end, one.kind, one.severity) for one in detect(series, Sensitivity.HIGH).anomalies]
        return plain((changes, anomalies, ahead.reason, ahead.reliable, [one.share for one in ahead.backtest.scores]))

    assert decided(factor) == decided(1.0)


def test_a_signal_that_never_moved_is_not_odd_for_that() -> None:
    assert detect(Series(0.0, 300.0, np.full(1440, 42.0)), Sensitivity.HIGH).anomalies == ()


def test_a_signal_that_stops_moving_is_odd() -> None:
    moving = 42.0 + np.random.default_rng(1).normal(0.0, 1.0, 400)
    (found,) = detect(Series(0.0, 300.0, np.concatenate([moving, np.full(40, 42.0)])), Sensitivity.HIGH).anomalies
    assert found.start >= 400 * 300.0 - 300.0
