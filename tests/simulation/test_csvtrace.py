"""Traces: the forms of CSV that are understood, playing them, and what a bad file says."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from trimtab.simulation.arrivals import AnyShape, Shape
from trimtab.simulation.csvtrace import TraceError, read_trace


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "seconds", "expected"),
    [
        pytest.param("10\n20\n30\n", [0, 1.5, 2, 3], [10, 20, 30, 10], id="one-value-a-line-is-one-a-second"),
        pytest.param("load\n10\n20\n", [0, 1], [10, 20], id="with-a-header"),
        pytest.param("time,value\n100,5\n110,7\n", [0, 9.9, 10, 19.9, 20], [5, 5, 7, 7, 5], id="held-until-the-next"),
        pytest.param("100,5\n110,7\n", [0, 10], [5, 7], id="two-columns-without-a-header"),
        pytest.param("value,time\n5,100\n7,110\n", [0, 10], [5, 7], id="columns-by-name"),
        pytest.param(
            "time,requests\n1998-04-30 21:30:00,60\n1998-04-30 21:31:00,120\n1998-04-30 21:33:00,180\n",
            [0, 60, 120, 180],
            [1, 2, 0, 3],
            id="requests-a-minute-and-a-missing-minute-is-zero",
        ),
        pytest.param("time,value\n2024-01-01T00:00:00Z,1\n2024-01-01T00:01:00+00:00,2\n", [0, 60], [1, 2], id="iso"),
        pytest.param("10\n\n20\n", [0, 1], [10, 20], id="blank-lines-do-not-count"),
    ],
)
def test_forms(tmp_path: Path, text: str, seconds: list[float], expected: list[float]) -> None:
    assert read_trace(written(tmp_path, text)).rate(np.array(seconds)).tolist() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("time,value\n1,5\n2,five\n", ":3: 'five' is not a finite number >= 0", id="no-number"),
        pytest.param("time,value\n1,5\n2,-3\n", ":3: '-3' is not a finite number >= 0", id="negative"),
        pytest.param("1\nnan\n", ":2: 'nan' is not a finite number >= 0", id="nan"),
        pytest.param("time,value\nnoon,5\n", ":2: 'noon' is neither seconds nor an ISO 8601 time", id="no-time"),
        pytest.param("time,value\n5,1\n5,2\n", ":3: time '5' does not come after", id="time-stands-still"),
        pytest.param("time,value\n1,2\n3\n", ":3: '3' has no column 2", id="short-row"),
        pytest.param("", ": no rows", id="empty"),
        pytest.param("time,value\n", ": no rows after the header", id="header-only"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TraceError) as failure:
        read_trace(path)
    assert str(failure.value).startswith(str(path))
    assert message in str(failure.value)


def test_another_column_and_interval(tmp_path: Path) -> None:
    path = written(tmp_path, "date,latency,Calls\n0,1,100\n10,1,200\n30,1,400\n")
    assert read_trace(path, "calls", 10).rate(np.array([0.0, 10, 20, 30])).tolist() == [10, 20, 0, 40]
    with pytest.raises(TraceError, match="no column 'nothing'; there are date, latency, calls"):
        read_trace(path, "nothing")


def shape(folder: Path, **fields: object) -> Shape:
    adapter: TypeAdapter[Shape] = TypeAdapter(AnyShape)
    return adapter.validate_python({"kind": "Trace", "path": "trace.csv", **fields}, context={"folder": folder})


MINUTES = "time,requests\n0,60\n60,120\n120,240\n180,60\n"


@pytest.mark.parametrize(
    ("fields", "seconds", "expected"),
    [
        pytest.param({}, [0, 60, 120], [1, 2, 4], id="as-recorded"),
        pytest.param({"speed": 60}, [0, 1, 2, 3, 4], [1, 2, 4, 1, 1], id="a-minute-a-second-and-then-again"),
        pytest.param({"speed": 0.5}, [0, 60, 120], [1, 1, 2], id="half-speed"),
        pytest.param({"scale": 10}, [0, 60], [10, 20], id="scaled"),
        pytest.param({"peak": 100}, [0, 120], [25, 100], id="to-a-peak"),
        pytest.param({"offset_seconds": 60, "duration_seconds": 120}, [0, 60, 120], [2, 4, 2], id="a-part"),
        pytest.param({"offset_seconds": 180, "peak": 7}, [0], [7], id="peak-of-the-part"),
    ],
)
def test_playing(tmp_path: Path, fields: dict[str, object], seconds: list[float], expected: list[float]) -> None:
    written(tmp_path, MINUTES)
    assert shape(tmp_path, **fields).rate(np.array(seconds, dtype=np.float64)).tolist() == pytest.approx(expected)


def test_speed_keeps_the_mean_rate(tmp_path: Path) -> None:
    written(tmp_path, MINUTES)
    slow = shape(tmp_path).rate(np.arange(0, 240, 0.5)).mean()
    fast = shape(tmp_path, speed=24).rate(np.arange(0, 10, 0.5 / 24)).mean()
    assert fast == pytest.approx(slow)


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        pytest.param("1\nx\n", {}, "trace.csv:2: 'x'", id="bad-row"),
        pytest.param("0\n0\n", {"peak": 5}, "without any traffic", id="no-traffic-to-scale"),
        pytest.param("1\n2\n", {"offset_seconds": 2}, "outside a trace of 2", id="starts-past-the-end"),
    ],
)
def test_a_trace_that_cannot_be_played(tmp_path: Path, text: str, fields: dict[str, object], message: str) -> None:
    written(tmp_path, text)
    with pytest.raises(ValidationError, match=message):
        shape(tmp_path, **fields)
