"""The HTML of an analysis is one file that asks for nothing, holds no one's markup but ours, and stays small."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
import yaml

from tests.reporting.analysis_building import CPU, busy, many, report, silent
from trimtab.reporting.analysis import ContainerEntry, Sizing, WorkloadEntry
from trimtab.reporting.analysis_html import patch, to_html

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;{{ 7*7 }}"


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def hostile() -> WorkloadEntry:
    return busy(
        HOSTILE,
        HOSTILE,
        message=HOSTILE,
        unit=HOSTILE,
        containers=(ContainerEntry(HOSTILE, CPU, CPU),),
    )


def test_nothing_of_a_cluster_becomes_markup() -> None:
    usual, odd = _Page(to_html(report(busy()))), _Page(to_html(report(hostile(), warning=HOSTILE)))
    assert odd.count("script") == usual.count("script") == 3
    assert odd.count("img") == 0
    assert {name for _, attributes in odd.elements for name in attributes if name.startswith("on")} == set()


def test_plots_are_json_that_can_be_read_back() -> None:
    plots = json.loads(_Page(to_html(report(hostile(), silent()))).scripts[0])
    assert plots[0]["unit"] == HOSTILE
    assert len(plots[0]["y"]) == 400
    assert plots[0]["y"][15] is None, "a gap"
    assert plots[0]["cpu"] == [0.5, 0.23]
    assert plots[1] is None


def test_the_page_asks_for_nothing() -> None:
    page = _Page(to_html(report()))
    addresses = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in {"src", "href"}
    ]
    assert addresses == []
    policy = next(
        attributes["content"] for tag, attributes in page.elements if tag == "meta" and "http-equiv" in attributes
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_every_workload_has_a_row_and_a_section() -> None:
    page = _Page(to_html(report()))
    names = [
        attributes["data-name"] for tag, attributes in page.elements if tag == "tbody" and "data-name" in attributes
    ]
    assert names == ["batch/ghost", "shop/db", "shop/web", "shop/odd"]
    assert page.count("section") == 4


def test_a_row_tells_what_the_table_tells() -> None:
    text = re.sub(r"\s+", " ", to_html(report()))
    for words in ("(-270m) 500m → 230m", "1.5 cores in 2h", "Lower the CPU request", "CPU is at 80 % of its request"):
        assert words in text


def test_a_thousand_workloads_stay_below_15_megabytes() -> None:
    assert len(to_html(many(1000)).encode()) < 15e6


def test_the_patch_has_what_changes_and_nothing_else() -> None:
    same = Sizing(0.5, 1.0, 0.4, 0.5, 1.0)
    memory = Sizing(2.0**30, 2.0**31, 4e8, 480 * 2.0**20, 960 * 2.0**20)
    entry = busy(containers=(ContainerEntry("app", same, memory), ContainerEntry("proxy", same, same)))
    body = yaml.safe_load(patch(entry))
    assert body["metadata"] == {"name": "web", "namespace": "shop"}
    assert body["spec"]["template"]["spec"]["containers"] == [
        {"name": "app", "resources": {"requests": {"memory": "480Mi"}, "limits": {"memory": "960Mi"}}}
    ]


@pytest.mark.parametrize("entry", [silent(), busy(containers=())])
def test_without_a_change_there_is_no_patch(entry: WorkloadEntry) -> None:
    assert patch(entry) == ""
