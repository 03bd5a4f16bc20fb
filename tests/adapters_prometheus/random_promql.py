"""Random PromQL over the series of the equivalence tests: valid by its types, often odd."""

from __future__ import annotations

import random

LABELS = ("service", "shard", "zone", "pod", "code")


class Grammar:
    """Writes queries, many of which depend on ``$target``."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def query(self) -> str:
        """A query for an instant vector."""
        return self._vector(self._rng.randint(1, 4))

    def _vector(self, depth: int) -> str:
        if depth == 0:
            return self._rng.choice(
                (
                    'queue_depth{service="$target"}',
                    'queue_depth{service=~"$target",shard!="b"}',
                    'rate(http_requests_total{service="$target"}[5m])',
                    'http_requests_total{service="$target",code!="404"}',
                    "quota",
                    "capacity",
                )
            )
        write = self._rng.choice(
            (self._aggregate, self._aggregate, self._binary, self._binary, self._set, self._function, self._subquery)
        )
        return write(depth - 1)

    def _labels(self) -> str:
        return ", ".join(self._rng.sample(LABELS, self._rng.randint(0, 3)))

    def _aggregate(self, depth: int) -> str:
        operator = self._rng.choice(("sum", "avg", "max", "min", "count", "topk", "bottomk", "quantile", "stddev"))
        parameter = {"topk": "1, ", "bottomk": "2, ", "quantile": "0.7, "}.get(operator, "")
        clause = self._rng.choice(("", f" by ({self._labels()}) ", f" without ({self._labels()}) "))
        return f"{operator}{clause}({parameter}{self._vector(depth)})"

    def _matching(self) -> str:
        return self._rng.choice(("", "", f"on ({self._labels()})", f"ignoring ({self._labels()})"))

    def _binary(self, depth: int) -> str:
        operator = self._rng.choice(("+", "-", "*", "/", ">", "< bool", "%"))
        if self._rng.random() < 0.3:
            scalar = self._rng.choice(("3", "scalar(sum(quota))", "(1 + 0.5)"))
            sides = [scalar, f"({self._vector(depth)})"]
            self._rng.shuffle(sides)
            return f"{sides[0]} {operator} {sides[1]}"
        matching = self._matching()
        if matching and self._rng.random() < 0.5:
            taken = self._rng.choice(("", "zone", "service"))
            matching += f" {self._rng.choice(('group_left', 'group_right'))} ({taken})"
        left, right = self._vector(depth), self._vector(self._rng.randint(0, depth))
        return f"({left}) {operator} {matching} ({right})"

    def _set(self, depth: int) -> str:
        operator = self._rng.choice(("and", "or", "unless"))
        return f"({self._vector(depth)}) {operator} {self._matching()} ({self._vector(self._rng.randint(0, depth))})"

    def _function(self, depth: int) -> str:
        inner = self._vector(depth)
        wrap = self._rng.choice(
            (
                "abs({})",
                "clamp_min({}, 2)",
                "-({})",
                "sort_desc({})",
                'label_replace({}, "zone", "z-$1", "service", "(.*)")',
                'label_replace({}, "code", "x", "shard", "a")',
                'label_join({}, "pod", "-", "shard", "zone")',
                'label_replace({}, "service", "same", "", "")',
                "absent({})",
                "timestamp({})",
            )
        )
        return wrap.format(inner)

    def _subquery(self, depth: int) -> str:
        function = self._rng.choice(("max_over_time", "avg_over_time", "last_over_time"))
        return f"{function}(({self._vector(depth)})[10m:5m])"
