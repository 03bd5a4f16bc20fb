"""The connection to Prometheus, or to what speaks its HTTP API: one range query, as a typed result.

prometheus-api-client holds connection, authentication and retries. Its own queries put PromQL into the URL and drop the
warnings that tell a partial answer, so `_Client` adds one that does neither.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import requests
from prometheus_api_client import PrometheusConnect
from requests.auth import AuthBase, HTTPBasicAuth
from requests.exceptions import ChunkedEncodingError
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from trimtab.adapters.credentials import (
    CredentialError,
    Redactor,
    check_header,
    check_headers,
    check_token,
    read_address,
    read_token,
)
from trimtab.adapters.prometheus_wire import (
    FailureKind,
    QueryFailed,
    RangeAnswer,
    misplaced,
    parse_answer,
    parse_failure,
)
from trimtab.adapters.promql import promql_duration

_CHUNK_BYTES = 64 << 10
"""Read at a time: what is compressed may be a thousand times as much once it is unpacked."""
_LARGE_BYTES = 1 << 20
"""An answer with more than this waits until few others of the kind are in memory."""
_LARGE_AT_ONCE, _LARGE_AND_SLOW_AT_ONCE = 2, 1
_TENANT_HEADER = "X-Scope-OrgID"


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """Where Prometheus is and how it is asked."""

    url: str
    """Base URL: what stands before ``/api/v1``. A user and a password in it are taken out of it."""
    username: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    bearer_token_file: Path | None = None
    """Read again for each request, as the tokens of service accounts change."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tenant: str = ""
    """Sent as ``X-Scope-OrgID``, which Mimir and Cortex read."""
    ca_file: Path | None = None
    insecure_skip_verify: bool = False
    client_certificate: tuple[Path, Path] | None = None
    """Certificate and key."""
    matchers: tuple[tuple[str, str], ...] = ()
    """(label, value) that every series must have, where one Prometheus holds several clusters."""
    connect_timeout_seconds: float = 5.0
    timeout_seconds: float = 30.0
    """Longest time for one answer, the server's work included."""
    round_seconds: float = 120.0
    """A round sends nothing more after this."""
    retries: int = 2
    """After a broken connection and status 429 or 502; a query that timed out is not sent again."""
    concurrency: int = 4
    slow_concurrency: int = 2
    """Requests at a time for signals that took long before."""
    patience_seconds: float = 5.0
    """What takes longer is served apart: it goes on, and nobody else waits for it."""
    wait_seconds: float = 15.0
    """A round waits no longer for all of its answers; what comes later is used when it comes."""
    policy_seconds: float = 40.0
    """Slow queries of one policy take no more than about this in a round."""
    max_points: int = 11_000
    """Points a series in one request; Prometheus allows 11,000."""
    max_answer_bytes: int = 32 << 20
    """Of one answer, unpacked. A larger one is asked for in parts: a shorter range, then fewer targets."""
    count_samples: bool = False
    """Ask how many samples each query loads."""

    def __post_init__(self) -> None:
        """Raises CredentialError, which shows no secret, for what cannot be sent."""
        address = read_address(self.url, "the URL of Prometheus")
        object.__setattr__(self, "url", address.url)
        if address.username or address.password:
            if self.username or self.bearer_token or self.bearer_token_file is not None:
                raise CredentialError("the URL of Prometheus: has a user, and there is another login beside it")
            object.__setattr__(self, "username", address.username)
            object.__setattr__(self, "password", address.password)
        check_headers(self.headers, "headers for Prometheus")
        check_header(_TENANT_HEADER, self.tenant, "tenant of Prometheus")
        if self.bearer_token:
            object.__setattr__(self, "bearer_token", check_token(self.bearer_token, "bearer token"))


@dataclass(frozen=True, slots=True)
class Received:
    """The outcome of one request."""

    outcome: RangeAnswer | QueryFailed
    answer_bytes: int = 0
    unconnected: bool = False
    """Whether no answer came because a connection could not be made, or broke each time."""
    was_sent: bool = True


class Connection:
    """Asks one Prometheus; may be used by several threads at once."""

    def __init__(self, settings: PrometheusSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        sent = (part for value in settings.headers.values() for part in (value, value.rpartition(" ")[2]))
        self._hidden = Redactor((*sent, settings.bearer_token))
        self._hidden.add_login(settings.username, settings.password)
        self._client = _client(settings, self._hidden)
        self._large = threading.BoundedSemaphore(_LARGE_AT_ONCE)
        self._large_and_slow = threading.BoundedSemaphore(_LARGE_AND_SLOW_AT_ONCE)
        self._host = urlsplit(settings.url).netloc

    def close(self) -> None:
        """Closes what is open."""
        self._client.close()

    def read_range(self, query: str, start: float, end: float, step_seconds: float, *, slow: bool = False) -> Received:
        """The values of ``query`` from ``start`` to ``end`` in unix seconds; waits for them.

        One that is known as slow waits for none but its like before it reads a large answer, and they for it.
        """
        form = {
            "query": query,
            "start": f"{start:.3f}",
            "end": f"{end:.3f}",
            "step": promql_duration(step_seconds),  # as a number it loses a millisecond now and then
            "timeout": f"{self._settings.timeout_seconds:g}s",
            "nocache": "1",  # else VictoriaMetrics moves the range to multiples of the step
        }
        if self._settings.count_samples:
            form["stats"] = "true"
        with _Room(self._large_and_slow if slow else self._large) as room:
            received = self._read(form, room, start, end, step_seconds)
        outcome = received.outcome
        if isinstance(outcome, QueryFailed):  # what a server or a library says may repeat what was sent
            return replace(received, outcome=replace(outcome, message=self._hidden.text(outcome.message)))
        return replace(received, outcome=replace(outcome, partial=self._hidden.text(outcome.partial)))

    def _read(self, form: Mapping[str, str], room: _Room, start: float, end: float, step_seconds: float) -> Received:
        """The outcome of one query; the room of a large answer is held until it is parsed."""
        try:
            status, body = self._post_again(form, room)
        except _AnswerTooLargeError:
            limit = self._settings.max_answer_bytes
            return Received(
                QueryFailed(FailureKind.TOO_LARGE, f"the answer has more than {limit} bytes", divisible=True)
            )
        except (requests.Timeout, TimeoutError, requests.ConnectionError, ChunkedEncodingError) as error:
            return self._not_received(error)
        except CredentialError as error:
            return Received(QueryFailed(FailureKind.UNREACHABLE, str(error)))
        except (requests.RequestException, OSError) as error:
            return Received(QueryFailed(FailureKind.UNREACHABLE, f"Prometheus at {self._host}: {_innermost(error)}"))
        if status != 200:
            return Received(parse_failure(status, self._hidden.raw(body)), len(body))
        answer = parse_answer(body)
        if isinstance(answer, QueryFailed):  # it shows the beginning, where half a secret would go unnoticed
            return Received(parse_answer(self._hidden.raw(body)), len(body))
        if isinstance(answer, RangeAnswer):
            return Received(misplaced(answer, start, end, step_seconds) or answer, len(body))
        return Received(answer, len(body))

    def _post_again(self, form: Mapping[str, str], room: _Room) -> tuple[int, bytearray]:
        """Status and body; one that is cut off is asked for once more, on another connection."""
        given_up_at = self._monotonic() + self._settings.connect_timeout_seconds + self._settings.timeout_seconds
        try:
            return self._post(form, room, given_up_at)
        except ChunkedEncodingError:
            if self._settings.retries == 0:
                raise
            return self._post(form, room, given_up_at)

    def _post(self, form: Mapping[str, str], room: _Room, given_up_at: float) -> tuple[int, bytearray]:
        """Status and body; an answer that comes drop by drop is given up at the same time as one that does not come."""
        timeouts = (self._settings.connect_timeout_seconds, self._settings.timeout_seconds)
        body = bytearray()
        with self._client.query_range(form, timeouts) as response:
            for chunk in response.iter_content(_CHUNK_BYTES):
                body += chunk
                if len(body) > _LARGE_BYTES:
                    room.take(given_up_at - self._monotonic())
                if len(body) > self._settings.max_answer_bytes:
                    raise _AnswerTooLargeError
                if self._monotonic() > given_up_at:
                    raise TimeoutError
            return response.status_code, body

    def _not_received(self, error: Exception) -> Received:
        connecting = isinstance(error, requests.ConnectTimeout)
        timed_out = isinstance(error, requests.ReadTimeout | TimeoutError) or isinstance(
            _innermost(error), ReadTimeoutError
        )
        if timed_out and not connecting:
            seconds = self._settings.timeout_seconds
            return Received(
                QueryFailed(FailureKind.TIMEOUT, f"Prometheus at {self._host} did not answer in {seconds:g} s")
            )
        message = f"Prometheus at {self._host} cannot be reached: {_innermost(error)}"
        return Received(QueryFailed(FailureKind.UNREACHABLE, message), unconnected=True)


class _Room:
    """Room in memory for one large answer, as a context manager."""

    def __init__(self, rooms: threading.BoundedSemaphore) -> None:
        self._rooms = rooms
        self._is_held = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_held:
            self._rooms.release()

    def take(self, seconds: float) -> None:
        """Wait for it, if it is not held yet; raises TimeoutError."""
        self._is_held = self._is_held or self._rooms.acquire(timeout=max(seconds, 0.0))
        if not self._is_held:
            raise TimeoutError


class _AnswerTooLargeError(Exception):
    pass


def _innermost(error: BaseException) -> BaseException:
    """The error that libraries have wrapped."""
    inner = getattr(error, "reason", None) or next(iter(error.args), None)
    return _innermost(inner) if isinstance(inner, BaseException) else error


class _Retry(Retry):
    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Gives up at once on a query that timed out: again it would cost the server as much."""
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


class _Bearer(AuthBase):
    def __init__(self, token: str | Path, hidden: Redactor) -> None:
        self._token = token
        self._hidden = hidden

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the token; raises OSError when its file cannot be read, CredentialError when it holds none."""
        token = self._token if isinstance(self._token, str) else read_token(self._token)
        self._hidden.add(token)
        request.headers["Authorization"] = f"Bearer {token}"
        return request


class _Client(PrometheusConnect):  # type: ignore[misc]  # the library ships no type information
    """One query more for the library's connection: sent as a form, with the whole answer."""

    def query_range(self, form: Mapping[str, str], timeouts: tuple[float, float]) -> requests.Response:
        """The answer, its body not read yet; ``timeouts`` to connect and between bytes, in seconds."""
        response: requests.Response = self._session.request(
            method="POST",
            url=f"{self.url}/api/v1/query_range",
            data=form,
            headers=self.headers,
            auth=self.auth,
            verify=self._session.verify,
            cert=self._session.cert,
            timeout=timeouts,
            stream=True,
            allow_redirects=False,  # a redirected POST would arrive as a GET without the query
        )
        return response


def _client(settings: PrometheusSettings, hidden: Redactor) -> _Client:
    headers = dict(settings.headers)
    if settings.tenant:
        headers[_TENANT_HEADER] = settings.tenant
    token = settings.bearer_token or settings.bearer_token_file
    auth: AuthBase | None = None
    if token:
        auth = _Bearer(token, hidden)
    elif settings.username or settings.password:
        auth = HTTPBasicAuth(settings.username.encode(), settings.password.encode())
    session = requests.Session()
    session.verify = str(settings.ca_file) if settings.ca_file is not None else not settings.insecure_skip_verify
    if settings.client_certificate is not None:
        session.cert = (str(settings.client_certificate[0]), str(settings.client_certificate[1]))
    retry = _Retry(
        total=settings.retries,
        backoff_factor=0.2,
        status_forcelist=(429, 502),
        allowed_methods=frozenset(("POST",)),
        raise_on_status=False,
        respect_retry_after_header=False,  # a thread would sleep for as long as the server likes
    )
    return _Client(
        url=settings.url.rstrip("/"), headers=headers, auth=auth, session=session, retry=retry, method="POST"
    )
