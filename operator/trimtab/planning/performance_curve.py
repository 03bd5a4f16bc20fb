"""The curve from load per replica to the value of an objective: what it expects, what it promises, how it is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtri

from trimtab.domain.run_status import CurveState
from trimtab.domain.series import FloatArray
from trimtab.planning import curve_fit, curve_shapes
from trimtab.planning.badness import Badness
from trimtab.planning.curve_shapes import Shape

_GRID = 48
"""Loads tried at a time when a capacity is looked for; three times over, each within one step of the last."""
EXTRAPOLATION = 1.10
"""How far beyond the largest load per core that was seen a capacity is ever promised."""
_DIGITS = ".9g"


@dataclass(frozen=True, slots=True)
class NotLearned:
    """Why there is no curve yet, in one plain sentence."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class PerformanceCurve:
    """The value of one objective as a function of load per replica and CPU per pod; picklable, immutable.

    Made by :func:`trimtab.planning.performance_model.fit` or :meth:`from_state`. Residuals are log badness (see
    :class:`Badness`), so that a residual of 0.1 is ten per cent worse than expected, whatever the objective's unit.
    """

    objective: str
    shape: Shape
    badness: Badness
    theta: FloatArray = field(repr=False)
    """Parameters of the shape, shape (p,)."""
    covariance: FloatArray = field(repr=False)
    """Of the parameters, shape (p, p)."""
    knots: FloatArray = field(repr=False)
    """Load per core at the knots of a monotone curve, shape (k,); empty for the others."""
    residual_std: float
    """Spread of one sample about the curve, in log badness."""
    effective_samples: float
    """Samples counted by their autocorrelation."""
    samples: int
    seen: float
    """Largest load per core**g that was seen (99th percentile), g the exponent of the size."""
    size_assumed: bool
    """Only one size was ever seen: that capacity grows in proportion to CPU is an assumption, not learned."""

    def log_expected(
        self, load_per_replica: FloatArray | float, cpu_size: FloatArray | float
    ) -> tuple[FloatArray, FloatArray]:
        """(expected log badness shape (n,), gradient shape (n, p + 1)) at each load and size, shape (n,).

        The gradient is by parameter; its last column is how far beyond the seen the point lies (natural log of the
        ratio, 0 within), by which the curve is doubted. :attr:`doubt` is the covariance that goes with it.
        """
        loads, sizes = np.broadcast_arrays(
            np.atleast_1d(np.asarray(load_per_replica, dtype=np.float64)), np.asarray(cpu_size, dtype=np.float64)
        )
        load, size = np.maximum(loads, 0.0), np.maximum(sizes, 1e-6)
        match self.shape:
            case Shape.QUEUEING:
                level, gradient = curve_shapes.queueing(self.theta, load, size)
            case Shape.LOSS:
                level, gradient = curve_shapes.loss(self.theta, load, size)
            case Shape.MONOTONE:
                level, gradient = curve_shapes.monotone(self.knots, self.theta, load, size)
        with np.errstate(invalid="ignore"):
            beyond = np.log(np.maximum(load / (self.seen * size**self._exponent), 1.0))
        return level, np.column_stack([gradient, beyond])

    @property
    def doubt(self) -> FloatArray:
        """Covariance of the expected log badness by gradient, shape (p + 1, p + 1).

        Beyond the load that was seen the shape itself is a guess: its error grows by one per cent with each per cent.
        Curves fitted to M/M/c queues (c of 1 to 4) and to quantiles read from coarse histograms were off by one to
        three per cent for each per cent beyond, mostly to the safe side, and within one to three per cent inside.
        """
        size = self.theta.size
        wide = np.zeros((size + 1, size + 1))
        wide[:size, :size] = self.covariance
        wide[size, size] = 1.0
        return wide

    def expected(self, load_per_replica: FloatArray | float, cpu_size: FloatArray | float) -> FloatArray:
        """Expected value of the objective at each load per replica and CPU in cores per pod; the shape is theirs.

        Finite always: beyond capacity a queue has no steady state, and the value only grows (or falls, for a minimum)
        with load there. NaN where load or size is.
        """
        shape = np.broadcast_shapes(np.shape(load_per_replica), np.shape(cpu_size))
        return self.badness.value(self.log_expected(load_per_replica, cpu_size)[0]).reshape(shape)

    def log_residuals(self, values: FloatArray, load_per_replica: FloatArray, cpu_size: FloatArray) -> FloatArray:
        """Log badness of measured values minus the expected one, shape (n,); NaN where something is missing."""
        return self.badness.log(values) - self.log_expected(load_per_replica, cpu_size)[0]

    def uncertainty(self, load_per_replica: float, cpu_size: float) -> float:
        """Standard deviation of the expected log badness there, from what its parameters and shape may be off."""
        gradient = self.log_expected(np.array([load_per_replica]), np.array([cpu_size]))[1]
        return math.sqrt(max(float((gradient @ self.doubt @ gradient.T)[0, 0]), 0.0))

    def limit(self, cpu_size: float) -> float:
        """Load per replica beyond which nothing is promised: ten per cent above the largest that was seen."""
        return float(self.limits(np.array([cpu_size]))[0])

    def capacity(self, threshold: float, cpu_size: float, quantile: float) -> float:
        """Largest load per replica of so many cores that :meth:`capacities` promises."""
        return float(self.capacities(threshold, np.array([cpu_size]), quantile)[0])

    def capacities(self, threshold: float, cpu_sizes: FloatArray, quantile: float) -> FloatArray:
        """Largest load per replica at which one sample holds ``threshold`` with probability ``quantile``, shape (m,).

        For each CPU size in cores, shape (m,). One-sided normal bound in log badness from the spread of samples and the
        uncertainty of the curve, never more than :meth:`limit`; 0.0 when not even an idle replica holds it. Raises
        ValueError for a quantile outside (0, 1) or a size that is not above 0.
        """
        if not 0.0 < quantile < 1.0 or not (cpu_sizes > 0.0).all():
            raise ValueError(f"quantile must be in (0, 1) and sizes above 0, got {quantile} and {cpu_sizes}")
        z = float(ndtri(quantile))
        bound = float(self.badness.log(np.array([threshold]))[0])
        shares, sizes = np.linspace(0.0, 1.0, _GRID), np.repeat(cpu_sizes, _GRID)
        low, high = np.zeros_like(cpu_sizes), self.limits(cpu_sizes)
        rows = np.arange(cpu_sizes.size)
        for _ in range(3):
            loads = low[:, None] + (high - low)[:, None] * shares
            level, gradient = self.log_expected(loads.ravel(), sizes)
            variance = np.maximum(((gradient @ self.doubt) * gradient).sum(axis=1), 0.0)
            broken = (level + z * np.sqrt(variance + self.residual_std**2) > bound).reshape(loads.shape)
            first = np.where(broken.any(axis=1), np.argmax(broken, axis=1), _GRID)
            low, high = loads[rows, np.maximum(first - 1, 0)], loads[rows, np.minimum(first, _GRID - 1)]
        return low

    def limits(self, cpu_sizes: FloatArray) -> FloatArray:
        """:meth:`limit` of each size, shape (m,)."""
        return np.asarray(EXTRAPOLATION * self.seen * np.power(cpu_sizes, self._exponent), dtype=np.float64)

    @property
    def _exponent(self) -> float:
        return 1.0 if self.shape is Shape.MONOTONE else float(self.theta[-1])

    def to_state(self) -> CurveState:
        """The curve as kept with a plan: decimal strings, so that a verdict can be computed again from them."""
        upper = self.covariance[np.triu_indices(self.theta.size)] if self.shape is not Shape.MONOTONE else ()
        head = (self.seen, self.effective_samples)
        tail = () if self.shape is Shape.QUEUEING else (self.badness.floor, self.badness.full)
        numbers = (*head, *self.theta, *upper, *self.knots, *tail)
        return CurveState(
            objective=self.objective,
            kind=f"{self.shape.value}/{self.badness.kind}{'/one-size' if self.size_assumed else ''}",
            parameters=[format(float(number), _DIGITS) for number in numbers],
            residual_std=format(self.residual_std, _DIGITS),
            samples=self.samples,
        )

    @staticmethod
    def from_state(state: CurveState) -> PerformanceCurve:
        """The curve of :meth:`to_state`; ValueError when the state is of another version or damaged."""
        try:
            shape_name, badness_kind, *assumed = state.kind.split("/")
            shape = Shape(shape_name)
            numbers = [float(text) for text in state.parameters]
            residual_std = float(state.residual_std)
            seen, effective = numbers[:2]
            floor, full = (0.0, 1.0) if shape is Shape.QUEUEING else numbers[-2:]
            size = {Shape.QUEUEING: 4, Shape.LOSS: 3, Shape.MONOTONE: curve_fit.KNOTS}[shape]
            theta = np.array(numbers[2 : 2 + size])
            rest = np.array(numbers[2 + size :] if shape is Shape.QUEUEING else numbers[2 + size : -2])
            if shape is Shape.MONOTONE:
                knots, covariance = rest, curve_fit.monotone_covariance(residual_std, effective)
                assert knots.size == size
            else:
                knots, covariance = np.empty(0), np.zeros((size, size))
                covariance[np.triu_indices(size)] = rest
                covariance = covariance + np.triu(covariance, 1).T
            badness = Badness.of_kind(badness_kind, floor, full)
        except (ValueError, KeyError, AssertionError) as error:
            raise ValueError(f"curve of {state.objective!r} cannot be read: {error}") from error
        return PerformanceCurve(
            objective=state.objective, shape=shape, badness=badness, theta=theta, covariance=covariance, knots=knots,
            residual_std=residual_std, effective_samples=effective, samples=state.samples, seen=seen,
            size_assumed=bool(assumed),
        )  # fmt: skip
