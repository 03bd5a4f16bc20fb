"""Reaction: what is done about a drift, round by round, until its trial ends."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from trimtab.analytics.algebra import first_smallest
from trimtab.domain.series import Series
from trimtab.domain.units import format_duration
from trimtab.forecasting.contenders import CLEARLY, FEW, Contender, gain_of
from trimtab.forecasting.drift import DriftDetector, DriftKind, DriftTest
from trimtab.forecasting.models import ModelName
from trimtab.forecasting.remedy import Mend, MendKind, Training, find_mend
from trimtab.forecasting.state import longest_period
from trimtab.forecasting.supervised import (
    STEADY,
    ChangeCause,
    DriftPhase,
    DriftState,
    Episode,
    ModelChange,
    Supervised,
    noted,
)

RECENT = 24
BACK_TO_USUAL = 1.15
SEASONS_OF_TRIAL, STEPS_OF_TRIAL = 4.0, 300
"""How long challengers are tried, the longer of the two."""
SLACK_STEPS = 4
"""By which a change may be older than the detector thinks."""
SEASONS_TO_RETRAIN, STEPS_TO_RETRAIN = 2.5, 60
"""What must be seen after a change before a model learns from that alone."""


def begin(state: Supervised, test: DriftTest, change: float, now: float) -> Supervised:
    """An episode that starts with a drift since ``change``; one that is under way ends."""
    assert test.kind is not None
    step = state.step_seconds
    period = state.period_seconds
    trial = max(SEASONS_OF_TRIAL * period + 2 * state.lead_steps * step, STEPS_OF_TRIAL * step)
    episode = Episode(
        kind=test.kind,
        earliest=change,
        change=change,
        seen_at=now,
        until=now + trial,
        period_seconds=period,
        before=state.champion.training,
        mend=None,
        mended_at=-math.inf,
        remedied=False,
        settled=False,
    )
    return replace(
        state,
        episode=episode,
        challengers=(),
        near=state.near.restarted(change / step, period / step),
        far=state.far.restarted(change / step, period / step),
        drift=DriftState(DriftPhase.DRIFTED, test.kind, change, _message(test.kind, None)),
    )


def react(state: Supervised, series: Series, now: float) -> Supervised:
    """What is done about a drift in this round."""
    if state.episode is None:
        return state
    state = _challenged(state, series, now)
    state = _promote(state, now)
    state = _stand_in(state, now)
    return _told(state, now)


def _challenged(state: Supervised, series: Series, now: float) -> Supervised:
    """The challengers that the samples since the change allow."""
    episode = state.episode
    assert episode is not None
    step, period = series.step_seconds, episode.period_seconds
    seen = now - episode.change
    learning = seen <= max(period, STEPS_TO_RETRAIN * step) + step
    if learning and now - episode.mended_at >= max(period / 48.0, step) * 0.999:
        past = episode.before.of(series.between(series.start, now))
        earliest = episode.earliest - SLACK_STEPS * step
        mend = find_mend(past, earliest, period, latest=max(episode.seen_at - 2 * step, earliest))
        change = mend.change if mend is not None else episode.change
        episode = replace(episode, change=change)
        state = _with_mend(state, replace(episode, mend=mend, mended_at=now))
    enough = max(SEASONS_TO_RETRAIN * period, STEPS_TO_RETRAIN * step)
    recent = Training(since=episode.change)
    known = [state.champion.training, *(one.training for one in state.challengers)]
    if seen >= enough and recent not in known and now < episode.until:
        state = replace(state, challengers=(*state.challengers, Contender.on(recent)))
    return state


def _with_mend(state: Supervised, episode: Episode) -> Supervised:
    """A challenger that learns from the history as mended by what is known now, or an update of who does already."""
    mend = episode.mend
    state = replace(state, episode=episode)
    if mend is None:
        return state
    kind = DriftKind.SEASONAL if mend.kind is MendKind.PHASE else DriftKind.MEAN
    state = replace(state, episode=replace(episode, kind=kind))
    training = episode.before.mended(mend)

    def same(one: Contender) -> bool:
        mends = one.training.mends
        return mends[:-1] == training.mends[:-1] and bool(mends) and mends[-1].kind is mend.kind

    if same(state.champion):
        return replace(state, champion=replace(state.champion, training=training), challengers=_recent(state))
    for place, one in enumerate(state.challengers):
        if same(one):
            updated = replace(one, training=training)
            others = state.challengers
            return replace(state, challengers=(*others[:place], updated, *others[place + 1 :]))
    return replace(state, challengers=(Contender.on(training), *_recent(state)))


def _recent(state: Supervised) -> tuple[Contender, ...]:
    """Challengers that learn from the samples after the drift only."""
    return tuple(one for one in state.challengers if one.training.since is not None)


def _promote(state: Supervised, now: float) -> Supervised:
    """The challenger that erred clearly less than the champion takes its place."""
    episode = state.episode
    assert episode is not None
    for one in state.challengers:
        gain = gain_of(one)
        if one.fitted is None or not gain.clear:
            continue
        before, after = state.champion.label, one.label
        if one.training.since is not None:
            why = f"learned anew from the {_ago(now - episode.change)} since the drift"
        else:
            why = f"learned from a history mended for the drift ({one.training.mends[-1].describe()})"
        reason = f"{why}, it erred {100 * gain.share:.0f} % less on {gain.samples} samples that it had not seen"
        records = state.records.promoted(one.pairs[np.isfinite(one.pairs[:, 6])][:, [0, 6, 7]])
        fresh = DriftDetector.start(longest_period(one.fitted.seasons) / state.step_seconds)
        state = replace(
            state,
            champion=replace(one, pairs=one.pairs[:0]),
            challengers=tuple(replace(other, pairs=other.pairs[:0]) for other in state.challengers if other is not one),
            records=records,
            near=fresh,
            far=fresh,
            episode=replace(episode, remedied=True),
        )
        if state.fallback is not None:
            reason += f"; {state.fallback} stands in until it errs no more than that"
        return noted(state, ModelChange(now, before, after, reason, ChangeCause.DRIFT))
    return state


def _stand_in(state: Supervised, now: float) -> Supervised:
    """Fall back to what erred less than the champion since the change, and come back when that is no longer so."""
    episode = state.episode
    assert episode is not None
    error, naive, last, count = state.records.since(episode.change).far_error(RECENT)
    if count < FEW or (episode.settled and state.fallback is None):
        return state
    simple = {ModelName.LAST_VALUE.value: last}
    if state.period_seconds:
        simple[ModelName.SEASONAL_NAIVE.value] = naive
    simple = {name: value for name, value in simple.items() if math.isfinite(value)}
    best = list(simple)[first_smallest(np.array(list(simple.values())))]
    own = state.champion.label
    wanted = state.fallback
    if state.fallback is None and simple[best] < (1.0 - CLEARLY) * error:
        wanted = best
    elif state.fallback is not None and (error <= simple.get(state.fallback, math.inf) or now >= episode.until):
        wanted = None
    if wanted == state.fallback:
        return state
    if wanted is not None:
        reason = (
            f"since the drift {own} erred {100 * (error / simple[best] - 1):.0f} % more than {best}, which stands in"
        )
    else:
        reason = f"{own} errs no more than {state.fallback} again"
    before = state.name
    state = replace(state, fallback=wanted, episode=replace(episode, remedied=True))
    return noted(state, ModelChange(now, before, state.name, reason, ChangeCause.DRIFT))


def _told(state: Supervised, now: float) -> Supervised:
    """The drift state that people see; an episode ends with its trial."""
    episode = state.episode
    assert episode is not None
    error, count = state.records.since(episode.seen_at).scaled_error(RECENT)
    settled = episode.settled or (count == RECENT and error <= BACK_TO_USUAL * state.usual)
    if now >= episode.until:
        return replace(state, episode=None, challengers=(), fallback=None, drift=STEADY)
    what = _message(episode.kind, episode.mend)
    if settled and not episode.settled:
        message = f"{what}; the error is back where it was"
        drift = DriftState(DriftPhase.NONE, episode.kind, episode.change, message)
    elif settled:
        drift = state.drift
    elif episode.remedied:
        drift = DriftState(DriftPhase.RECOVERING, episode.kind, episode.change, f"{what}; {state.name} forecasts since")
    else:
        drift = DriftState(DriftPhase.DRIFTED, episode.kind, episode.change, what)
    return replace(state, episode=replace(episode, settled=settled), drift=drift)


def _message(kind: DriftKind, mend: Mend | None) -> str:
    match kind:
        case DriftKind.MEAN:
            what = "forecasts run too high or too low"
        case DriftKind.VARIANCE:
            what = "the demand scatters more around the forecast than it did"
        case DriftKind.SEASONAL:
            what = "errors depend on the time within the season"
    return what if mend is None else f"{what}: {mend.describe()}"


def _ago(seconds: float) -> str:
    return format_duration(seconds, to=60 if seconds >= 600.0 else 1)
