"""Secrets: checked where they come in, and hidden where text goes out. No message of these functions shows a value."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

HIDDEN: Final = "[hidden]"
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SHORTEST: Final = 4
"""What is shorter is found in every text, and hides nothing."""
_CUT: Final = 16
"""Where a secret begins with so much, what follows of it is hidden too: who repeats a text may have cut it off."""


class CredentialError(ValueError):
    """A secret or an address cannot be used; the message names where it came from and what is wrong."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address without what is secret in it, and that."""

    url: str
    username: str = ""
    password: str = ""


def read_address(text: str, where: str) -> Address:
    """An address of a server, user and password taken out of it; raises CredentialError.

    >>> read_address("https://me@prometheus:9090/x", "--prometheus-url").url
    'https://prometheus:9090/x'
    """
    if _CONTROL.search(text) or " " in text:
        raise CredentialError(f"{where}: has a control character or a space")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise CredentialError(
            f"{where}: host and port cannot be read; write it as http://prometheus:9090, with a / ? # or @ in user or"
            " password percent-encoded"
        ) from error
    if parts.scheme not in ("http", "https"):
        raise CredentialError(f"{where}: must begin with http:// or https://")
    if not host or port == 0:
        raise CredentialError(f"{where}: names no host, or port 0; write it as http://prometheus:9090")
    if parts.query or parts.fragment:
        raise CredentialError(f"{where}: must have neither ? nor #, as /api/v1 is put behind it")
    user, _, place = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    return Address(urlunsplit(parts._replace(netloc=place)), unquote(name), unquote(password))


def check_header(name: str, value: str, where: str) -> None:
    """Raise CredentialError where a header could not be sent as it is."""
    if not _HEADER_NAME.fullmatch(name):
        raise CredentialError(f"{where}: the name of a header must be letters, digits and -, such as X-Scope-OrgID")
    _check_value(value, f"{where}: the value of {name}")
    if value != value.strip():
        raise CredentialError(f"{where}: the value of {name} begins or ends with a space")


def check_headers(headers: Mapping[str, str], where: str) -> None:
    """Raise CredentialError where one of the headers could not be sent as it is."""
    for name, value in headers.items():
        check_header(name, value, where)


def check_token(token: str, where: str) -> str:
    """A bearer token, without the newline that ends its file; raises CredentialError."""
    token = token.removesuffix("\n").removesuffix("\r")
    if not token:
        raise CredentialError(f"{where}: is empty")
    _check_value(token, where)
    if " " in token or not token.isascii():
        raise CredentialError(f"{where}: a bearer token has neither spaces nor letters beyond ASCII")
    return token


def read_token(file: Path) -> str:
    """The bearer token in a file; raises OSError, or CredentialError."""
    return check_token(file.read_bytes().decode("latin-1"), f"bearer token file {file}")


def _check_value(value: str, what: str) -> None:
    found = _CONTROL.search(value)
    if found:
        kind = "a newline" if found.group() in "\r\n" else "a control character"
        raise CredentialError(f"{what} has {kind} at character {found.start() + 1} of {len(value)}")
    if any(ord(character) > 0xFF for character in value):
        raise CredentialError(f"{what} has a letter that no header can carry (beyond Latin-1)")


class Redactor:
    """Hides known secrets, also as they look in a URL, in JSON and in basic authentication."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._longest_first: tuple[str, ...] = ()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """One more to hide; one that is too short to be told from other text stays."""
        if len(secret) < _SHORTEST or secret in self._known:
            return
        forms = (secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1])
        self._known.update(form for form in (*forms, repr(secret)[1:-1]))
        self._longest_first = tuple(sorted(self._known, key=len, reverse=True))

    def add_login(self, username: str, password: str) -> None:
        """A password, and what basic authentication makes of it."""
        self.add(password)
        if password:
            self.add(base64.b64encode(f"{username}:{password}".encode()).decode())

    def text(self, text: str) -> str:
        """A text without the secrets, and without the beginnings of such as were cut off in it."""
        for secret in self._longest_first:
            at = text.find(secret[:_CUT])
            while at >= 0:
                end = at + sum(takewhile(bool, map(eq, text[at:], secret)))
                text = f"{text[:at]}{HIDDEN}{text[end:]}"
                at = text.find(secret[:_CUT], at + len(HIDDEN))
        return text

    def raw(self, text: bytes | bytearray) -> bytes | bytearray:
        """What a server sent, without the secrets."""
        for secret in self._longest_first:
            text = text.replace(secret.encode(), HIDDEN.encode())
        return text
