"""Which of a model's test metrics count, decided by the validation split where the protocol says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from mtrl.statistics import delta_m
from mtrl.supervised.benchmark import Metric
from mtrl.supervised.run_config import EvaluationConfig

Values = Mapping[str, float]


class Selection:
    """The metrics of one model over its epochs.

    Args:
        config: the rule.
        metrics: of the tasks that the model learns.
        reference: that validation metrics are compared with; None for those of the first epoch.
    """

    def __init__(self, config: EvaluationConfig, metrics: Sequence[Metric], reference: Values | None) -> None:
        self._config, self._metrics, self._reference = config, metrics, reference
        self._best: tuple[float, int] | None = None
        self._test: dict[int, dict[str, float]] = {}

    def validate(self, epoch: int, values: Values) -> float:
        """The score of an epoch: delta_m of its validation metrics, one whose reference is zero relative to `_size`."""
        reference = self._reference = self._reference or dict(values)
        shifts = [0.0 if reference[m.name] else self._size(m, reference) for m in self._metrics]
        columns = [
            (values[m.name] + shift, reference[m.name] + shift, m.higher_is_better)
            for m, shift in zip(self._metrics, shifts, strict=True)
        ]
        score = float(delta_m(*zip(*columns, strict=True)))
        if self._best is None or score < self._best[0]:
            self._best = (score, epoch)
        return score

    def is_best(self, epoch: int) -> bool:
        """Whether this epoch has the best score so far."""
        return self._best is not None and self._best[1] == epoch

    def is_stale(self, epoch: int) -> bool:
        """Whether the best score is older than the rule's patience."""
        patience = self._config.patience_epochs
        return bool(patience) and self._best is not None and epoch - self._best[1] > patience

    def add(self, epoch: int, values: Values) -> None:
        """Takes the test metrics of an epoch; those that can no longer count are dropped."""
        self._test[epoch] = {metric.name: values[metric.name] for metric in self._metrics}
        if self._config.select == "best_validation":
            assert self._best is not None
            kept = [e for e in self._test if e == self._best[1]]
        else:
            kept = [e for e in self._test if e > epoch - self._config.mean_last_epochs]
        self._test = {e: self._test[e] for e in kept}

    def result(self) -> dict[str, float]:
        """The test metrics that count."""
        epochs = [*self._test.values()]
        return {m.name: sum(values[m.name] for values in epochs) / len(epochs) for m in self._metrics}

    @property
    def epochs(self) -> list[int]:
        """The epochs whose metrics count."""
        return [*self._test]

    def _size(self, metric: Metric, reference: Values) -> float:
        """The mean size of the references of one kind with a metric; 1 if all are zero."""
        alike = [m for m in self._metrics if (m.unit, m.higher_is_better) == (metric.unit, metric.higher_is_better)]
        sizes = [abs(reference[m.name]) for m in alike if reference[m.name]]
        return sum(sizes) / len(sizes) if sizes else 1.0

    def state_dict(self) -> dict[str, Any]:
        return {"reference": self._reference, "best": self._best, "test": self._test}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._reference, self._best, self._test = state["reference"], state["best"], dict(state["test"])
