"""`trimtab forecast`: what comes after the last row of a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.commands.shell import fail, name_of, page_width, read_series, seconds, show
from trimtab.domain.choices import ForecastModel
from trimtab.reporting.printing import remark, say

if TYPE_CHECKING:
    from trimtab.domain.series import Series
    from trimtab.survey.origins import Asked, Origin


def forecast_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV of time,value; - reads the standard input.")],
    horizon: Annotated[str, typer.Option(metavar="DURATION", help="How far ahead, such as 24h.")] = "24h",
    as_json: Annotated[bool, typer.Option("--json", help="The forecast and its backtest as JSON.")] = False,
    model: Annotated[ForecastModel, typer.Option(help="Auto chooses by backtest.")] = ForecastModel.AUTO,
    confidence: Annotated[
        int, typer.Option(min=50, max=99, metavar="PERCENT", help="Coverage of the interval in percent.")
    ] = 90,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Prove that no forecast saw a later sample; exit 1 if one did.")
    ] = False,
    step: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Step of the samples, such as 5m; default their median.")
    ] = None,
) -> None:
    """Forecast a file of time,value, with intervals, and a backtest on the same file. Values below 0 are missing."""
    from trimtab.forecasting.forecast import NoForecast
    from trimtab.reporting.analysis_forecast import forecast_page, forecast_record
    from trimtab.survey.origins import Asked, backtest

    if model is ForecastModel.NONE:
        raise typer.BadParameter("None makes no forecast; choose Auto or a model", param_hint="--model")
    series = read_series(file, step).series
    _warn_of_negatives(series)
    asked = Asked(seconds(horizon, "--horizon"), model.value, confidence / 100)
    ahead = asked.of(series, series.end)
    if isinstance(ahead, NoForecast):
        if not as_json:
            fail(f"no forecast: {ahead.reason}")
        say(json.dumps({"model": None, "reason": ahead.reason}))
        raise typer.Exit(1)
    made = _origins(series, asked)
    judged = backtest(series, asked, made)
    if as_json:
        say(json.dumps(forecast_record(ahead, judged, confidence), allow_nan=False, ensure_ascii=False))
    else:
        show(forecast_page(series, ahead, judged, confidence, name_of(file), page_width()))
    if streaming:
        _prove(series, asked, made)


def _origins(series: Series, asked: Asked) -> list[Origin]:
    from trimtab.commands.progress import counting
    from trimtab.survey.origins import origins

    with counting("forecasts of the backtest") as tell:
        return origins(series, asked, tell)


def _prove(series: Series, asked: Asked, made: list[Origin]) -> None:
    from trimtab.survey.origins import prove_forecasts

    proof = prove_forecasts(series, asked, made)
    if not proof.holds:
        fail(f"streaming: {proof.message}")
    remark(f"streaming: {proof.message}")


def _warn_of_negatives(series: Series) -> None:
    below = int((series.values < 0).sum())
    if below:
        remark(f"trimtab: {below} values are below 0, which no demand is; they count as missing")
