"""What files are read, and what is said of one that cannot be."""

from __future__ import annotations

import math

import pytest

from trimtab.adapters.csvseries import CsvError, parse_csv


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["0,1", "60,2", "120,3"], id="no header"),
        pytest.param(["time,value", "0,1", "60,2", "120,3"], id="header"),
        pytest.param(["\ufeffTimestamp,Requests", "0,1", "60,2", "120,3"], id="byte order mark, capitals"),
        pytest.param(["value,time", "1,0", "2,60", "3,120"], id="columns by name"),
        pytest.param(["host,ts,x,value", "a,0,9,1", "a,60,9,2", "a,120,9,3"], id="further columns"),
        pytest.param(["time;value", "0;1", "60;2", "120;3"], id="semicolons"),
        pytest.param(["time\tvalue", "0\t1", "60\t2", "120\t3"], id="tabs"),
        pytest.param(["# made by hand", "", "0,1", " 60 , 2 ", "120,3", ""], id="comments, blanks, empty lines"),
        pytest.param(['"time","value"', '"0","1"', '"60","2"', '"120","3"'], id="quotes"),
        pytest.param(["1970-01-01 00:00:00,1", "1970-01-01 00:01:00,2", "1970-01-01 00:02:00,3"], id="without a zone"),
        pytest.param(["1970-01-01T01:00:00+01:00,1", "1970-01-01T00:01Z,2", "1970-01-01T00:02:00.000Z,3"], id="zones"),
        pytest.param(["120,3", "0,1", "60,2"], id="any order"),
        pytest.param(["0,1", "61,2", "119,3"], id="a little off the step"),
    ],
)
def test_the_same_series_in_many_ways(lines: list[str]) -> None:
    read = parse_csv(lines, 60.0)
    assert (read.series.start, read.series.values.tolist()) == (0.0, [1.0, 2.0, 3.0])


def test_the_step_is_the_median_and_missing_rows_are_gaps() -> None:
    read = parse_csv(["0,1", "60,2", "120,", "240,NaN", "300,inf", "360,7"])
    assert read.series.step_seconds == 60.0
    assert read.series.values.tolist() == pytest.approx([1, 2, *[math.nan] * 4, 7], nan_ok=True)
    assert read.places.tolist() == [0, 1, 2, 4, 5, 6]
    assert read.values.size == 6


def test_milliseconds_are_told_by_their_size() -> None:
    read = parse_csv(["1767225600000,1", "1767225660000,2"])
    assert (read.series.start, read.series.step_seconds) == (1767225600.0, 60.0)


def test_of_two_rows_at_one_time_the_first_counts() -> None:
    read = parse_csv(["0,1", "60,2", "60,9", "120,3"])
    assert read.series.values.tolist() == [1.0, 2.0, 3.0]
    assert read.places.tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param(["time,value", "0,1", "sixty,2"], ("line 3", "column 1 (time)", "'sixty'", "ISO 8601"), id="time"),
        pytest.param(["time,cpu", "0,1", "60,1 2"], ("line 3", "column 2 (cpu)", "'1 2'", "decimal"), id="value"),
        pytest.param(["0,1", "60,0x10"], ("line 2", "column 2 (value)", "'0x10'"), id="not Python's numbers"),
        pytest.param(["0,1", "60"], ("line 2", "no column 2 (value)"), id="no value"),
        pytest.param(["2026-13-01,1", "2026-01-02,2"], ("line 1", "column 1 (time)", "'2026-13-01'"), id="first line"),
        pytest.param(["0,1"], ("1 rows", "at least 2"), id="one row"),
        pytest.param([], ("0 rows",), id="empty"),
        pytest.param(["5,1", "5,2"], ("same time",), id="one time"),
        pytest.param(["0,1", "1,2", "2,3", "9e9,4"], ("is a time wrong",), id="a time of another century"),
    ],
)
def test_a_bad_file_is_told_by_line_column_and_value(lines: list[str], words: tuple[str, ...]) -> None:
    with pytest.raises(CsvError) as caught:
        parse_csv(lines)
    for word in words:
        assert word in str(caught.value)
