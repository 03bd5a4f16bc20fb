"""Supervision: forecasts are judged when their time has come, drift is seen, and what helps against it is done."""

from __future__ import annotations

import math
from dataclasses import replace

from trimtab.domain.series import Series
from trimtab.forecasting.contenders import Contender, ask, paired
from trimtab.forecasting.drift import QUIET, DriftDetector, DriftTest
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.forecasting.issued import MOST_JUDGED, MOST_STEPS, LiveAccuracy, Records
from trimtab.forecasting.models import ModelName
from trimtab.forecasting.reaction import RECENT, begin, react
from trimtab.forecasting.remedy import Training, fallen_back
from trimtab.forecasting.state import HORIZON_FACTOR, longest_period
from trimtab.forecasting.supervised import STEADY, ChangeCause, DriftPhase, DriftState, ModelChange, Supervised, noted

__all__ = ["ChangeCause", "DriftPhase", "DriftState", "LiveAccuracy", "ModelChange", "Supervised", "foresee"]

STEPS_AT_EVERY_ROUND, EVERY = 100, 4
"""Challengers are asked at each round for so many steps, then at every fourth."""


def foresee(
    series: Series,
    *,
    now: float,
    horizon_seconds: float,
    model: str,
    confidence: float,
    previous: Supervised | None,
) -> tuple[Forecast | NoForecast, Supervised | None]:
    """:func:`forecast`, supervised: ``previous`` is what the last round returned, and may be hours old.

    Samples that came since are held against what was forecast for them: one step ahead (or as few as there were), and
    at the horizon, at most 60 steps. When their errors drift, the model that would have erred less stands in:
    challengers that learn from a mended history, or only from the samples after the drift, forecast in the shadow and
    are promoted when their error on samples they had not seen is lower by 5 %; until then the seasonal naive or the
    last value takes over where the champion errs more than they do. Raises ValueError as :func:`forecast` does.
    """
    steps = max(1, min(MOST_STEPS, math.floor(horizon_seconds / series.step_seconds + 1e-6)))
    state = _continued(previous, series, model, confidence, steps)
    if state is not None:
        state = react(_judged(state, series, now), series, now)
    champion = Contender.on(Training()) if state is None else state.champion
    found = ask(champion, series, now, horizon_seconds, model, confidence)
    if isinstance(found, NoForecast):
        return found, state if state is not None else previous
    if state is None:
        state = _start(found, series, now, model, confidence, steps, previous)
    before = state.name
    state = replace(state, champion=replace(state.champion, fitted=found.state))
    if state.fallback is None and before not in ("none", state.name):
        state = noted(state, ModelChange(now, before, state.name, found.reason, ChangeCause.SELECTION))
    challengers = tuple(_shadowed(state, one, series, now, horizon_seconds) for one in state.challengers)
    handed_out = found
    if state.fallback is not None:
        period = state.period_seconds if state.fallback == ModelName.SEASONAL_NAIVE else 0.0
        change = state.episode.change if state.episode is not None else series.start
        handed_out = fallen_back(found, series, now, change, period, confidence) or found
    issued = state.champion.issued.issue(found, handed_out, now, series.step_seconds, state.lead_steps, confidence)
    state = replace(state, champion=replace(state.champion, issued=issued), challengers=challengers)
    return handed_out, state


def _continued(
    previous: Supervised | None, series: Series, model: str, confidence: float, steps: int
) -> Supervised | None:
    """The state of the round before, when it answers the same question."""
    if previous is None or (previous.asked, previous.step_seconds) != (model, series.step_seconds):
        return None
    near = 1.0 / HORIZON_FACTOR <= steps / previous.lead_steps <= HORIZON_FACTOR
    return replace(previous, confidence=confidence) if near else None


def _start(
    found: Forecast, series: Series, now: float, model: str, confidence: float, steps: int, previous: Supervised | None
) -> Supervised:
    detector = DriftDetector.start(longest_period(found.state.seasons) / series.step_seconds)
    return Supervised(
        asked=model,
        step_seconds=series.step_seconds,
        lead_steps=steps,
        confidence=confidence,
        champion=replace(Contender.on(Training()), fitted=found.state),
        challengers=(),
        fallback=None,
        near=detector,
        far=detector,
        records=Records.none(),
        judged_until=now,
        usual=math.nan,
        episode=None,
        drift=STEADY,
        changes=() if previous is None else previous.changes,
    )


def _shadowed(state: Supervised, one: Contender, series: Series, now: float, horizon_seconds: float) -> Contender:
    """A challenger with one more forecast, which is only judged."""
    assert state.episode is not None
    passed = (now - state.episode.seen_at) / series.step_seconds
    if passed > STEPS_AT_EVERY_ROUND and round(now / series.step_seconds) % EVERY:
        return replace(one, issued=replace(one.issued, near=one.issued.near[:0]))
    found = ask(one, series, now, horizon_seconds, state.asked, state.confidence)
    if isinstance(found, NoForecast):
        return one
    issued = one.issued.issue(found, found, now, series.step_seconds, state.lead_steps, state.confidence)
    return replace(one, fitted=found.state, issued=issued)


def _judged(state: Supervised, series: Series, now: float) -> Supervised:
    """``state`` after the samples that came since the last round: records, detectors and pairs."""
    past = series.between(series.start, now)
    newest = past.last()
    if newest is None or newest[0] <= state.judged_until:
        return state
    fresh = past.between(state.judged_until + 0.5 * series.step_seconds, newest[0]).times[-MOST_JUDGED:]
    records, rows = state.records.judge(state.champion.issued, past, fresh, state.lead_steps, state.period_seconds)
    near, far, strongest, change = state.near, state.far, QUIET, math.nan
    for row in rows:
        step = float(row[0]) / series.step_seconds
        near, short = near.update(step, float(row[1] / row[2]))
        far, long = far.update(step, float(row[3] / row[4]))
        test = short if short.strength >= min(long.strength, 1.0) else long
        if test.strength > strongest.strength:
            strongest, change = test, test.since * series.step_seconds
    state = replace(
        state,
        champion=replace(state.champion, issued=state.champion.issued.after(newest[0])),
        challengers=tuple(paired(one, state.champion.issued, past, fresh) for one in state.challengers),
        near=near,
        far=far,
        records=records,
        judged_until=newest[0],
    )
    return _tested(state, now, strongest, change)


def _tested(state: Supervised, now: float, test: DriftTest, change: float) -> Supervised:
    """Begin an episode on a drift, show a warning, and learn the usual error while there is neither."""
    if test.drifted:
        return begin(state, test, change, now)
    if state.episode is not None:
        return state
    if test.warns and test.kind is not None:
        message = f"errors may have changed ({test.kind.value.lower()}); not yet sure"
        return replace(state, drift=DriftState(DriftPhase.WARNING, test.kind, change, message))
    error, count = state.records.scaled_error(RECENT)
    usual = state.usual
    if count == RECENT:
        usual = error if math.isnan(usual) else usual + (error - usual) / 200.0
    drift = STEADY if state.drift.state is DriftPhase.WARNING else state.drift
    return replace(state, usual=usual, drift=drift)
