"""Commands that need no custom resource: the analysis of a cluster, and of a file."""

from __future__ import annotations

import typer

from trimtab.commands.analyze import analyze
from trimtab.commands.detect import detect_file
from trimtab.commands.forecast import forecast_file


def include(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("analyze")(analyze)
    app.command("detect")(detect_file)
    app.command("forecast")(forecast_file)
