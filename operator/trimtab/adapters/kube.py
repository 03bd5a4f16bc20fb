"""A thin client of the API server over ``kubernetes.aio``: plain JSON in and out, errors typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from os.path import exists
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio import client as aio_client
from kubernetes.aio import config as aio_config

from trimtab.adapters.credentials import Redactor
from trimtab.adapters.fence import Fence, Outgoing, Purpose
from trimtab.adapters.json_answers import parse_object, shown

FIELD_MANAGER = "trimtab"
TIMEOUT_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 << 20
_PAGE_SIZE = 500
_SMALLER = 8
"""How many times fewer objects are asked for after a page that was too large."""
_TOO_LARGE = "TooLarge"
_SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path

JsonObject = dict[str, Any]
PatchOperation = dict[str, Any]


class KubeError(Exception):
    """The API server said no, or could not be reached (``status`` 0)."""

    def __init__(self, status: int, reason: str, message: str, *, invalid: bool = False) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else message)
        self.status = status
        self.reason = reason
        self.message = message
        self.invalid = invalid
        """The object would break a rule of the API server, now and when asked again."""

    @property
    def not_found(self) -> bool:
        """The object is not there."""
        return self.status == 404

    @property
    def forbidden(self) -> bool:
        """We are not allowed to; somebody has to give the right."""
        return self.status in (401, 403)

    @property
    def refused(self) -> bool:
        """A ``test`` of a JSON Patch failed: what matters has changed since it was read."""
        return self.status == 422 and not self.invalid

    @property
    def conflict(self) -> bool:
        """Somebody else wrote or created the object first."""
        return self.status == 409


class FencedError(KubeError):
    """A fence let a write not pass: nothing was sent, and it comes again."""

    def __init__(self, message: str) -> None:
        super().__init__(0, "Fenced", message)


_LAST_CHECK: ContextVar[Callable[[], None] | None] = ContextVar("last_check", default=None)


class _CheckedRequest(aiohttp.ClientRequest):
    """Asks once more when it has its connection, for which it may have waited."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Raises what the check raises, with nothing sent."""
        check = _LAST_CHECK.get()
        if check is not None:
            check()
        return await super().send(conn)


class KubeClient:
    """Requests to one API server; use as an async context manager."""

    def __init__(
        self, api: aio_client.ApiClient, fences: Sequence[Fence] = (), max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        self._api = api
        self._fences = tuple(fences)
        self._max_answer_bytes = max_answer_bytes

    @classmethod
    async def connect(
        cls,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        fences: Sequence[Fence] = (),
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> Self:
        """A client from a kubeconfig, from the pod's service account, or from the default kubeconfig.

        Every write asks all of the fences. Raises KubeError when no configuration is usable.
        """
        configuration = type.__call__(aio_client.Configuration)
        configuration.client_session_kwargs = {"request_class": _CheckedRequest}
        try:
            if kubeconfig is None and _in_cluster():
                aio_config.load_incluster_config(client_configuration=configuration)
            else:
                await aio_config.load_kube_config(
                    config_file=str(kubeconfig) if kubeconfig else None,
                    context=context,
                    client_configuration=configuration,
                )
        except (aio_config.ConfigException, OSError) as error:
            remedy = "give --kubeconfig FILE or set KUBECONFIG"
            raise KubeError(0, "NoConfig", f"no usable kubeconfig ({error}); {remedy}") from error
        return cls(aio_client.ApiClient(configuration=configuration), fences, max_answer_bytes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        purpose: Purpose = Purpose.RECORD,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> JsonObject:
        """The object that one request is answered with; raises KubeError, also for what is no object, and FencedError
        when a fence does not let it pass.
        """
        headers = {"Accept": "application/json", "Content-Type": content_type}
        check: Callable[[], None] | None = None
        if method != "GET":
            timeout_seconds, check = await self._admitted(Outgoing(method, path, purpose), timeout_seconds)
        token = _LAST_CHECK.set(check)
        try:
            parts = await self._api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = await self._api.call_api(*parts, _request_timeout=timeout_seconds)
            raw = await self._read(answer.response, f"{method} {path}")
        except (aiohttp.ClientError, TimeoutError, OSError, aio_client.ApiException) as error:
            text = f"{method} {path}: API server not reached: {error or type(error).__name__}"
            raise KubeError(0, "Unreachable", text) from error
        except ValueError as error:  # its own text may show what could not be sent
            text = f"{method} {path}: cannot be sent: check server and token of the kubeconfig for control characters"
            raise KubeError(0, "Unreachable", text) from error
        finally:
            _LAST_CHECK.reset(token)
        if 200 <= answer.status < 300:
            try:
                return parse_object(raw) if raw else {}
            except ValueError as error:
                text = f"{method} {path}: not an answer of the API server ({error}): {shown(self._hiding(raw))}"
                raise KubeError(0, "NotAnObject", text) from error
        raise _error(answer.status, self._hiding(raw))

    async def _read(self, answer: aiohttp.ClientResponse, asked: str) -> bytearray:
        """The body, given up once it is larger than answers may be."""
        body = bytearray()
        try:
            async for part in answer.content.iter_any():
                body += part
                if len(body) > self._max_answer_bytes:
                    text = f"{asked}: the answer has more than {self._max_answer_bytes} bytes"
                    raise KubeError(0, _TOO_LARGE, text)
        except BaseException:
            answer.close()
            raise
        answer.release()
        return body

    def _hiding(self, raw: bytearray) -> bytes | bytearray:
        """An answer that may be shown: without our own token or password."""
        known = self._api.configuration
        tokens = (value.split()[-1] for value in known.api_key.values() if value.strip())
        return Redactor(filter(None, (*tokens, known.password))).raw(raw)

    async def get(self, path: str) -> JsonObject:
        """One object; raises KubeError."""
        return await self.request("GET", path)

    async def list(self, path: str, **query: str) -> list[JsonObject]:
        """All items of a collection, read in pages; raises KubeError."""
        items: list[JsonObject] = []
        token, size = "", _PAGE_SIZE
        while True:
            given = {"limit": str(size), **({"continue": token} if token else {}), **query}
            try:
                page = await self.request("GET", path, query=given)
            except KubeError as error:
                if error.reason != _TOO_LARGE or size == 1:
                    raise
                size = max(1, size // _SMALLER)
                continue
            found, meta = page.get("items") or [], page.get("metadata") or {}
            if not (isinstance(found, list) and isinstance(meta, dict) and all(isinstance(one, dict) for one in found)):
                raise KubeError(0, "NotAList", f"GET {path}: not a list of the API server")
            items.extend(found)
            token = meta.get("continue") or ""
            if not token:
                return items

    async def create(self, path: str, body: JsonObject, purpose: Purpose = Purpose.RECORD) -> JsonObject:
        """Create an object under our field manager; raises KubeError."""
        return await self.request("POST", path, query={"fieldManager": FIELD_MANAGER}, body=body, purpose=purpose)

    async def json_patch(
        self, path: str, operations: Sequence[PatchOperation], purpose: Purpose = Purpose.RECORD
    ) -> JsonObject:
        """Apply a JSON Patch (RFC 6902) under our field manager; raises KubeError, 422 when a test fails."""
        return await self.request(
            "PATCH",
            path,
            query={"fieldManager": FIELD_MANAGER},
            body=list(operations),
            content_type="application/json-patch+json",
            purpose=purpose,
        )

    async def merge_patch(self, path: str, body: JsonObject) -> JsonObject:
        """Apply a merge patch (RFC 7386) under our field manager; raises KubeError."""
        return await self.request(
            "PATCH",
            path,
            query={"fieldManager": FIELD_MANAGER},
            body=body,
            content_type="application/merge-patch+json",
        )

    async def delete(self, path: str) -> None:
        """Delete an object; one that is gone already is no error. Raises KubeError."""
        try:
            await self.request("DELETE", path)
        except KubeError as error:
            if not error.not_found:
                raise

    async def _admitted(self, write: Outgoing, seconds: float) -> tuple[float, Callable[[], None]]:
        """Seconds within which the write must be answered, and the last check before it. Raises FencedError."""
        admissions = [await fence.admit(write) for fence in self._fences]

        def check() -> None:
            for admission in admissions:
                admission.check()

        check()  # the fences were asked one after another
        return min([seconds, *(admission.seconds for admission in admissions)]), check


def _in_cluster() -> bool:
    return exists(_SERVICE_ACCOUNT_TOKEN)


def _error(status: int, raw: bytes | bytearray) -> KubeError:
    try:
        answer = parse_object(raw)
        details = answer.get("details")
        invalid = status == 422 and isinstance(details, dict) and bool(details.get("causes"))  # a failed test: none
        reason, message = str(answer.get("reason", "Unknown")), str(answer.get("message", ""))[:1000]
    except (ValueError, RecursionError):
        return KubeError(status, "Unknown", shown(raw))
    return KubeError(status, reason, message, invalid=invalid)
