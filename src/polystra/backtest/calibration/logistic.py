"""Logistic regression with an offset and a ridge penalty, by Newton's method.

What lives here: the fit of a few coefficients on top of a given log-odds, and how certain they are. What must not:
what the columns mean (`fit`), which rows are fitted on (`splits`).

The model is logit P(Up) = offset + x . beta, without a constant: turning Up and Down around turns every sign around,
so a constant would be a leaning towards one side for its own sake. Maximised is the log-likelihood less
l2/2 |beta|^2, which is the mode of the posterior under a normal prior of variance 1/l2; its inverse curvature is the
covariance that is given back (Laplace's approximation). The penalised likelihood is strictly concave: there is one
maximum, and the halving of steps that do not raise it makes Newton's method reach it from zero.

Rows are weighted: several looks at one window are one observation of its outcome (see `fit`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from polystra.engine.strategy.signal import logistic

Vector: TypeAlias = Sequence[float]
Matrix: TypeAlias = list[list[float]]

_MOST_STEPS: Final = 60
_SMALL: Final = 1e-9
_HALVINGS: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One observation: features, the log-odds known before them, the outcome, and its weight."""

    x: Vector
    offset: float
    up: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """Coefficients with their covariance; all zero where nothing was seen (the covariance is then the prior's)."""

    beta: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]

    def standard_error(self, place: int) -> float:
        """Of one coefficient."""
        return math.sqrt(self.covariance[place][place])


def fit_logistic(rows: Sequence[Row], columns: int, *, l2: float) -> LogisticFit:
    """Return the maximum of the penalised likelihood.

    Raises:
        ValueError: the penalty is not positive, or a row has not `columns` finite numbers.
    """
    if not l2 > 0.0:
        raise ValueError(f"penalty {l2} of a logistic fit; expected a number above 0")
    for row in rows:
        if len(row.x) != columns or not all(map(math.isfinite, (*row.x, row.offset, row.weight))):
            raise ValueError(f"row {row} of a logistic fit; expected {columns} finite features")
    beta = [0.0] * columns
    value = _objective(rows, beta, l2)
    for _ in range(_MOST_STEPS):
        gradient, curvature = _slope(rows, beta, l2)
        step = solve(curvature, gradient)
        if max(map(abs, step), default=0.0) < _SMALL:
            break
        beta, value, moved = _climb(rows, beta, step, value, l2)
        if not moved:
            break
    _, curvature = _slope(rows, beta, l2)
    units = [[1.0 if i == j else 0.0 for i in range(columns)] for j in range(columns)]
    inverse = [solve(curvature, unit) for unit in units]
    return LogisticFit(tuple(beta), tuple(tuple(line) for line in inverse))


def _climb(
    rows: Sequence[Row], beta: list[float], step: Vector, value: float, l2: float
) -> tuple[list[float], float, bool]:
    """Go as much of a step as raises the objective; False when none of it does (the top, up to rounding)."""
    size = 1.0
    for _ in range(_HALVINGS):
        moved = [b + size * s for b, s in zip(beta, step, strict=True)]
        higher = _objective(rows, moved, l2)
        if higher > value:
            return moved, higher, True
        size /= 2.0
    return beta, value, False


def solve(matrix: Matrix, right: Vector) -> list[float]:
    """Solve a system of linear equations by elimination with pivoting.

    Raises:
        ZeroDivisionError: the matrix is singular.
    """
    size = len(right)
    work = [[*line, right[place]] for place, line in enumerate(matrix)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda place: abs(work[place][column]))
        work[column], work[pivot] = work[pivot], work[column]
        lead = work[column][column]
        for place in range(size):
            if place != column:
                factor = work[place][column] / lead
                work[place] = [a - factor * b for a, b in zip(work[place], work[column], strict=True)]
    return [work[place][size] / work[place][place] for place in range(size)]


def _objective(rows: Sequence[Row], beta: Vector, l2: float) -> float:
    total = -0.5 * l2 * math.fsum(b * b for b in beta)
    for row in rows:
        z = row.offset + sum([x * b for x, b in zip(row.x, beta, strict=True)])
        signed = z if row.up else -z
        total -= row.weight * (math.log1p(math.exp(-signed)) if signed > 0.0 else math.log1p(math.exp(signed)) - signed)
    return total


def _slope(rows: Sequence[Row], beta: Vector, l2: float) -> tuple[list[float], Matrix]:
    """The gradient, and the negated second derivatives."""
    columns = len(beta)
    gradient = [-l2 * b for b in beta]
    curvature = [[l2 if i == j else 0.0 for i in range(columns)] for j in range(columns)]
    for row in rows:
        p = logistic(row.offset + sum([x * b for x, b in zip(row.x, beta, strict=True)]))
        miss = row.weight * ((1.0 if row.up else 0.0) - p)
        spread = row.weight * p * (1.0 - p)
        for i, x in enumerate(row.x):
            gradient[i] += miss * x
            for j, y in enumerate(row.x):
                curvature[i][j] += spread * x * y
    return gradient, curvature
