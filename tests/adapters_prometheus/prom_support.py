"""What the tests of the Prometheus adapters share: written history, policies, and a server that does as it is told."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from trimtab.adapters.promql import quoted
from trimtab.adapters.signals_requests import SignalRequest
from trimtab.domain.policy import PolicySpec

STEP = 60.0
WINDOW = 300.0

Sample = tuple[str, Mapping[str, str], Sequence[tuple[float, float]]]
"""Metric, labels and (unix seconds, value) of one series."""


def write_openmetrics(file: Path, samples: Iterable[Sample]) -> Path:
    """Writes series as OpenMetrics, which promtool backfills; series of one metric must follow each other."""
    with file.open("w") as out:
        for metric, labels, points in samples:
            selector = ",".join(f"{name}={quoted(value)}" for name, value in labels.items())
            for time, value in points:
                out.write(f"{metric}{{{selector}}} {value!r} {time:.3f}\n")
        out.write("# EOF\n")
    return file


def every(start: float, end: float, step: float, value: Callable[[float], float]) -> list[tuple[float, float]]:
    """Points from ``start`` to ``end``; ``value`` takes the seconds since ``start``."""
    count = round((end - start) / step) + 1
    return [(start + i * step, value(i * step)) for i in range(count)]


def constant(value: float) -> Callable[[float], float]:
    """The same value at all times."""
    return lambda _seconds: value


def linear(pace: float) -> Callable[[float], float]:
    """A counter that grows by ``pace`` a second."""
    return lambda seconds: pace * seconds


def spec(name: str = "web", kind: str = "Deployment", **fields: Any) -> PolicySpec:
    """A policy's spec for one workload, with a step of `STEP`."""
    target = {"kind": kind, "name": name}
    return PolicySpec.model_validate({"targetRef": target, "analysis": {"interval": "60s", "history": "2h"}, **fields})


def request(key: str, policy: PolicySpec, since: float, until: float, **fields: Any) -> SignalRequest:
    """A request in the namespace shop."""
    values: dict[str, Any] = {"namespace": "shop", "step_seconds": STEP, "window_seconds": WINDOW} | fields
    return SignalRequest(key=key, spec=policy, since=since, until=until, **values)


def span_of(form: dict[str, str]) -> tuple[float, float, float]:
    """Start, end and step of a range query, in seconds."""
    written = re.fullmatch(r"(\d+)(m?s)", form["step"])
    assert written, "the step is written as a duration"
    return float(form["start"]), float(form["end"]), int(written[1]) / (1000 if written[2] == "ms" else 1)


CUT, CUT_SHORT = 0, 1
"""Instead of a status: the connection is cut before there is an answer, and in the midst of one."""


class Server:
    """Answers each POST with what ``reply`` returns for the form: status, body and seconds to wait."""

    def __init__(self, reply: Callable[[dict[str, str]], tuple[int, bytes, float]]) -> None:
        self.reply = reply
        self.forms: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""


@contextmanager
def serving(
    reply: Callable[[dict[str, str]], tuple[int, bytes, float]], certificate: tuple[Path, Path] | None = None
) -> Iterator[Server]:
    """A server on the loopback address that lives as long as the block; with certificate and key it speaks TLS."""
    told = Server(reply)
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            told.forms.append(form)
            told.headers.append(dict(self.headers))
            status, body, seconds = told.reply(form)
            ended.wait(seconds)
            if status == CUT_SHORT:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) + 1000))
                self.end_headers()
                self.wfile.write(body)
            if status in (CUT, CUT_SHORT):
                self.close_connection = True
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Stays silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    told.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
