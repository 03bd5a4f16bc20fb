"""Structured logs: one JSON object a line for machines, aligned columns for people."""

from __future__ import annotations

import logging
import sys

import structlog

from trimtab.domain.printable import printable


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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("kopf", "urllib3", "asyncio", "aiohttp", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _make_printable(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """No text of a cluster steers the terminal that shows the log."""
    for name, value in event.items():
        if not isinstance(value, bool | int | float | None):
            event[name] = printable(value if isinstance(value, str) else repr(value))
    return event
