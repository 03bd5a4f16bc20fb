"""What is sent, and what becomes of answers that a real Prometheus rarely gives."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.adapters_prometheus.prom_support import request, serving, span_of, spec
from trimtab.adapters.json_answers import SHOWN_BYTES
from trimtab.adapters.prometheus import PrometheusSource
from trimtab.adapters.prometheus_connection import Connection, PrometheusSettings
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed, RangeAnswer

EMPTY = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": []}}).encode()
Reply = Callable[[dict[str, str]], tuple[int, bytes, float]]


def always(status: int = 200, text: bytes = EMPTY, seconds: float = 0.0) -> Reply:
    return lambda _form: (status, text, seconds)


def asked(url: str, **settings: Any) -> RangeAnswer | QueryFailed:
    connection = Connection(PrometheusSettings(url, **settings))
    try:
        return connection.read_range("up", 60, 180.5, 60).outcome
    finally:
        connection.close()


def test_the_query_is_sent_as_a_form_with_exact_times() -> None:
    with serving(always()) as server:
        assert asked(f"{server.url}/", timeout_seconds=7.0) == RangeAnswer(())
        form = {"query": "up", "start": "60.000", "end": "180.500", "step": "60s", "timeout": "7s", "nocache": "1"}
        assert server.forms == [form]


def test_samples_are_counted_where_that_is_asked_for() -> None:
    data = {"resultType": "matrix", "result": [], "stats": {"samples": {"totalQueryableSamples": 42}}}
    with serving(always(text=json.dumps({"status": "success", "data": data}).encode())) as server:
        assert asked(server.url, count_samples=True) == RangeAnswer((), samples_read=42)
        assert server.forms[0]["stats"] == "true"


def test_credentials_and_headers(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    with serving(always()) as server:
        asked(server.url, username="ann", password="secret")
        asked(server.url, bearer_token="fixed", tenant="team-a", headers={"X-Extra": "1"})
        connection = Connection(PrometheusSettings(server.url, bearer_token_file=token))
        connection.read_range("up", 0, 0, 60)
        token.write_text("second")
        connection.read_range("up", 0, 0, 60)
        connection.close()
    sent = [headers["Authorization"] for headers in server.headers]
    assert sent == ["Basic YW5uOnNlY3JldA==", "Bearer fixed", "Bearer first", "Bearer second"]
    assert (server.headers[1]["X-Scope-OrgID"], server.headers[1]["X-Extra"]) == ("team-a", "1")


def test_secrets_are_not_shown() -> None:
    settings = PrometheusSettings("http://x", password="hidden-1", bearer_token="hidden-2", headers={"K": "hidden-3"})
    assert "hidden" not in repr(settings)
    outcome = asked("http://ann:hidden@127.0.0.1:1", retries=0)
    assert isinstance(outcome, QueryFailed)
    assert "hidden" not in outcome.message


ECHOES = {
    "an error of the API": lambda said: (400, json.dumps({"errorType": "bad_data", "error": said}).encode()),
    "a page of a proxy": lambda said: (502, f"<html>{said}</html>".encode()),
    "an answer that is none": lambda said: (200, said.encode()),
    "half an answer": lambda said: (200, ("x" * (SHOWN_BYTES - 30) + said).encode()),
    "a warning": lambda said: (200, EMPTY[:-1] + b', "warnings": ' + json.dumps([said]).encode() + b"}"),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_a_server_that_repeats_what_was_sent_tells_no_secret(
    echo: Callable[[str], tuple[int, bytes]], tmp_path: Path
) -> None:
    secret = "canary/" + "s" * 20 + '"ä'
    token = tmp_path / "token"
    token.write_text("canary-" + "t" * 20 + "\n")
    logins: list[dict[str, Any]] = [
        {"username": "ann", "password": secret},
        {"headers": {"Authorization": f"Custom {secret}"}},
        {"bearer_token_file": token},
    ]
    for login in logins:
        said: list[str] = []

        def repeat(_form: dict[str, str], said: list[str] = said) -> tuple[int, bytes, float]:
            said.append(server.headers[-1]["Authorization"])
            return (*echo(f"you sent {said[-1]} with {secret}"), 0.0)

        with serving(repeat) as server:
            outcome = asked(server.url, retries=0, **login)
        told = outcome.message if isinstance(outcome, QueryFailed) else outcome.partial
        assert said
        assert told
        sent = said[-1].rpartition(" ")[2]
        hidden = {sent, *((secret,) if "bearer_token_file" not in login else ())}
        for one in hidden:
            assert not any(one[start : start + 8] in told for start in range(len(one) - 8)), told


def test_a_token_that_is_none_is_not_shown(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"canary\r\nX-Evil: 1")
    with serving(always()) as server:
        outcome = asked(server.url, bearer_token_file=token)
    assert server.headers == []
    assert isinstance(outcome, QueryFailed)
    assert outcome.message == f"bearer token file {token} has a newline at character 7 of 17"


def test_a_token_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    with serving(always()) as server:
        outcome = asked(server.url, bearer_token_file=tmp_path / "none")
    assert isinstance(outcome, QueryFailed)
    assert outcome.kind is FailureKind.UNREACHABLE
    assert "none" in outcome.message


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:1", "Prometheus at 127.0.0.1:1 cannot be reached: "),
        ("http://no-such-host.invalid", "Prometheus at no-such-host.invalid cannot be reached: "),
    ],
    ids=["nothing listens", "no such host"],
)
def test_no_server(url: str, message: str) -> None:
    outcome = asked(url, retries=0)
    assert isinstance(outcome, QueryFailed)
    assert outcome.kind is FailureKind.UNREACHABLE
    assert outcome.message.startswith(message)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_server_is_trusted_by_the_certificate_authority_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with serving(always(), (certificate, key)) as server:
        untrusted = asked(server.url, retries=0)
        assert isinstance(untrusted, QueryFailed)
        assert "certificate" in untrusted.message
        assert asked(server.url, insecure_skip_verify=True) == RangeAnswer(())
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
        assert asked(server.url, ca_file=certificate) == RangeAnswer(())


def test_overload_is_tried_again_and_then_told_of() -> None:
    answers = iter(((429, b"slow down", 0.0), (200, EMPTY, 0.0)))
    with serving(lambda _form: next(answers)) as server:
        assert asked(server.url, retries=1) == RangeAnswer(())
    with serving(always(502, b"no backend")) as server:
        outcome = asked(server.url, retries=1)
        assert outcome == QueryFailed(FailureKind.UNREACHABLE, "status 502: no backend")
        assert len(server.forms) == 2


def test_a_query_that_times_out_is_not_sent_again() -> None:
    with serving(always(seconds=5)) as server:
        outcome = asked(server.url, timeout_seconds=0.3)
        assert outcome == QueryFailed(
            FailureKind.TIMEOUT, f"Prometheus at {server.url.removeprefix('http://')} did not answer in 0.3 s"
        )
        assert len(server.forms) == 1


def test_a_redirect_is_not_followed() -> None:
    with serving(always(302)) as server:
        outcome = asked(server.url)
    assert isinstance(outcome, QueryFailed)
    assert outcome.message.startswith("status 302")


def test_an_answer_that_is_too_large_is_given_up() -> None:
    with serving(always(text=b" " * 3_000_000)) as server:
        outcome = asked(server.url, max_answer_bytes=1_000_000)
    assert outcome == QueryFailed(FailureKind.TOO_LARGE, "the answer has more than 1000000 bytes", divisible=True)


def test_an_answer_that_comes_too_slowly_is_given_up() -> None:
    clock = iter((0.0, 100.0))
    with serving(always()) as server:
        connection = Connection(PrometheusSettings(server.url), lambda: next(clock))
        outcome = connection.read_range("up", 0, 0, 60).outcome
        connection.close()
    assert isinstance(outcome, QueryFailed)
    assert outcome.kind is FailureKind.TIMEOUT


def too_large_above(points: int) -> Reply:
    def reply(form: dict[str, str]) -> tuple[int, bytes, float]:
        start, end, step = span_of(form)
        if (end - start) / step + 1 > points:
            error = {
                "status": "error",
                "errorType": "execution",
                "error": "query processing would load too many samples",
            }
            return 422, json.dumps(error).encode(), 0.0
        values = [[start + step * i, "1"] for i in range(round((end - start) / step) + 1)]
        series = {"metric": {"svc": "web"}, "values": values}
        return (
            200,
            json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series]}}).encode(),
            0.0,
        )

    return reply


LOAD = {"load": {"query": 'sum(hits{svc="$target"})', "targetLabel": "svc"}}
ONLY = frozenset(("load",))


async def test_a_range_that_is_too_large_is_read_in_shorter_parts() -> None:
    with serving(too_large_above(100)) as server:
        source = PrometheusSource(PrometheusSettings(server.url))
        wanted = request("a", spec("web", metrics=LOAD), 0, 999 * 60, only=ONLY)
        found = (await source.fetch_round([wanted]))["a"]
        await source.close()
    assert found.history.load.present == 1000
    refused, parts = 2, 17
    assert len(server.forms) == refused + parts, "1000 and 250 points are refused, 62 are not"


async def test_a_target_too_large_by_itself_is_told_of() -> None:
    with serving(too_large_above(0)) as server:
        source = PrometheusSource(PrometheusSettings(server.url))
        wanted = [request(name, spec(name, metrics=LOAD), 0, 0, only=ONLY) for name in ("web", "api")]
        found = await source.fetch_round(wanted)
        await source.close()
    assert [result.failures["load"].kind for result in found.values()] == [FailureKind.TOO_LARGE] * 2
    assert len(server.forms) == 3


async def test_a_round_has_an_end() -> None:
    with serving(always(seconds=0.4)) as server:
        source = PrometheusSource(PrometheusSettings(server.url, concurrency=1, round_seconds=0.2))
        found = (await source.fetch_round([request("a", spec("web"), 0, 600)]))["a"]
        await source.close()
    assert len(server.forms) == 1
    late = [failure.message for failure in found.failures.values() if failure.kind is FailureKind.TIMEOUT]
    assert len(late) == 5
    assert late[0] == "the round took longer than 0.2 s, so this query was left for the next"


async def test_a_partial_answer_reaches_the_policy() -> None:
    text = EMPTY[:-1] + b', "warnings": ["store b is away"]}'
    with serving(always(text=text)) as server:
        source = PrometheusSource(PrometheusSettings(server.url))
        found = (await source.fetch_round([request("a", spec("web", metrics=LOAD), 0, 600, only=ONLY)]))["a"]
        await source.close()
    assert found.partial
    assert found.failures["load"].message == "partial answer: store b is away"


async def test_requests_run_side_by_side_up_to_the_limit() -> None:
    with serving(always(seconds=0.3)) as server:
        source = PrometheusSource(PrometheusSettings(server.url, concurrency=5))
        started = time.monotonic()
        await source.fetch_round([request("a", spec("web"), 0, 600)])
        await source.close()
    assert len(server.forms) == 6
    assert time.monotonic() - started < 1.2
    assert source.counters.requests == 6
    assert source.counters.failures == {}
