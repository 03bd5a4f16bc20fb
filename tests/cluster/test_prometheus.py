"""Prometheus as its users meet it: targets that come and go, restarts, hanging, and history before live samples."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from cluster.errors import ClusterError
from cluster.prometheus import Prometheus, backfill
from tests.cluster.cluster_support import eventually, query

pytestmark = pytest.mark.cluster

DAY_SECONDS = 86400

PrometheusFactory = Callable[..., Prometheus]


@pytest.fixture
def application() -> Iterator[str]:
    """The address of a program that exposes the gauge `load` with the value 42."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"# TYPE load gauge\nload 42\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Stays silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_targets_are_scraped_within_seconds(prometheus_factory: PrometheusFactory, application: str) -> None:
    prometheus = prometheus_factory()
    prometheus.register("shop", [application], {"namespace": "shop", "job": "web"})
    eventually(lambda: bool(query(prometheus, 'load{namespace="shop",job="web"} == 42')), seconds=6)
    prometheus.unregister("shop")
    eventually(lambda: not query(prometheus, "up"), seconds=10)


@pytest.mark.parametrize("crash", [False, True], ids=["restarted", "killed"])
def test_samples_and_address_outlive_it(prometheus_factory: PrometheusFactory, application: str, crash: bool) -> None:
    prometheus = prometheus_factory()
    prometheus.register("shop", [application])
    eventually(lambda: bool(query(prometheus, "count_over_time(load[1h]) >= 2")))
    prometheus.unregister("shop")
    address, pid = prometheus.url, prometheus.pid
    if crash:
        prometheus.kill()
        prometheus.start()
    else:
        prometheus.restart()
    assert prometheus.url == address
    assert prometheus.pid != pid
    assert query(prometheus, "count_over_time(load[1h]) >= 2")


def test_it_hangs_while_suspended(prometheus_factory: PrometheusFactory) -> None:
    prometheus = prometheus_factory()
    prometheus.suspend()
    with pytest.raises((URLError, TimeoutError)):
        urlopen(f"{prometheus.url}/-/ready", timeout=0.5)
    prometheus.resume()
    assert urlopen(f"{prometheus.url}/-/ready", timeout=10).status == 200


def test_history_and_live_samples_make_one_series(
    prometheus_factory: PrometheusFactory, application: str, tmp_path: Path
) -> None:
    now = time.time()
    start = now - 5 * DAY_SECONDS
    labels = '{instance="app-0",job="web"}'
    lines = [f"load{labels} 7 {start + second:.3f}" for second in range(0, 5 * DAY_SECONDS - 3, 30)]
    history = tmp_path / "history.om"
    history.write_text("\n".join(["# TYPE load gauge", *lines, f"load{labels} 7 {now - 3:.3f}", "# EOF\n"]))

    prometheus = prometheus_factory(backfilled=[history], lookback_delta="1m")
    prometheus.register("shop", [application], {"instance": "app-0", "job": "web"})
    eventually(lambda: bool(query(prometheus, "count_over_time((load == 42)[10s:1s]) >= 3")))

    (days,) = query(prometheus, "load", start=start, end=time.time(), step=300)
    assert len(days["values"]) == 5 * DAY_SECONDS // 300 + 1
    (recent,) = query(prometheus, "load", start=now - 60, end=time.time(), step=1)
    values = [float(value) for _, value in recent["values"]]
    assert set(values) == {7, 42}
    assert values == sorted(values)
    (counted,) = query(prometheus, "count_over_time(load[6d])")
    assert int(counted["value"][1]) > len(lines)


def test_a_bad_history_is_refused_with_promtools_reason(tmp_path: Path) -> None:
    history = tmp_path / "history.om"
    history.write_text("load 1\n# EOF\n")
    with pytest.raises(ClusterError, match="expected timestamp"):
        backfill(history, tmp_path / "data")


def test_millions_of_samples_are_backfilled_in_seconds(tmp_path: Path) -> None:
    end = time.time() - 60
    history = tmp_path / "history.om"
    with history.open("w") as file:
        file.write("# TYPE load gauge\n")
        for series in range(50):
            file.writelines(f'load{{pod="{series}"}} {i % 97} {end - i * 60:.0f}\n' for i in range(20_000, 0, -1))
        file.write("# EOF\n")
    started = time.monotonic()
    backfill(history, tmp_path / "data")
    assert time.monotonic() - started < 60
    assert any((tmp_path / "data").glob("*/meta.json"))


def test_the_address_is_known_once_it_was_started(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"call start\(\)"):
        _ = Prometheus(tmp_path).url
