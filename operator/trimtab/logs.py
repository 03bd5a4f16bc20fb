"""Structured logs: one JSON object a line for machines, aligned columns for people."""

from __future__ import annotations

import logging
import sys
from collections import deque
from typing import Final

import structlog

from trimtab.adapters.credentials import Redactor
from trimtab.domain.printable import printable

_KEPT: Final = 4
"""Tokens are renewed, and texts about the one before may still come."""


class Secrets:
    """What no log shows, whichever library writes it."""

    def __init__(self) -> None:
        self._latest: deque[str] = deque(maxlen=_KEPT)
        self._redactor = Redactor()

    def hide(self, secret: str) -> None:
        """Hide one from now on; only the latest few are hidden."""
        if secret not in self._latest:
            self._latest.append(secret)
            self._redactor = Redactor(self._latest)

    def without(self, text: str) -> str:
        """The text without them."""
        return self._redactor.text(text)


SECRETS: Final = Secrets()
"""Those of this process, as its logs are."""


def configure(level: str, form: str) -> None:
    """Send our logs and the libraries' through one set of processors to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if form == "json"  # which writes all beyond ASCII and all that steers a terminal as \\u001b
        else [_make_printable, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _hide, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("kopf", "urllib3", "asyncio", "aiohttp", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _hide(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {name: SECRETS.without(value) if isinstance(value, str) else value for name, value in event.items()}


def _make_printable(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """No text of a cluster steers the terminal that shows the log."""
    for name, value in event.items():
        if not isinstance(value, bool | int | float | None):
            event[name] = printable(value if isinstance(value, str) else repr(value))
    return event
