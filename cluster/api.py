"""The few calls to an API server that starting a cluster takes, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 30.0


class ApiError(Exception):
    """The API server refused a request; `status` is the HTTP status and the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class ApiClient:
    """Speaks JSON to one API server with one bearer token."""

    def __init__(self, server: str, token: str, ca_file: Path) -> None:
        self._address = urlsplit(server).netloc
        self._token = token
        self._tls = ssl.create_default_context(cafile=str(ca_file))

    def get(self, path: str) -> Any:
        """The object, or list, at `path`."""
        return self._call("GET", path, None)

    def create(self, path: str, body: dict[str, Any]) -> Any:
        """Creates `body` in the collection at `path`; what exists already is left as it is."""
        try:
            return self._call("POST", path, body)
        except ApiError as error:
            if error.status == 409:
                return self.get(f"{path}/{body['metadata']['name']}")
            raise

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Posts `body`, for subresources such as a service account's token."""
        return self._call("POST", path, body)

    def is_ready(self) -> bool:
        """Whether the API server says so to this token; a server that does not know the token is another one."""
        try:
            self._send("GET", "/readyz", None)
        except (ApiError, OSError, http.client.HTTPException):
            return False
        return True

    def _call(self, method: str, path: str, body: Any) -> Any:
        return json.loads(self._send(method, path, body))

    def _send(self, method: str, path: str, body: Any) -> bytes:
        content = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        connection = http.client.HTTPSConnection(self._address, timeout=_TIMEOUT_SECONDS, context=self._tls)
        with closing(connection):
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            received = answer.read()
        if answer.status >= 400:
            raise ApiError(answer.status, _message(received))
        return received


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")
