"""A model's metrics on a split."""

import math

import torch

from mtrl.runs.errors import UserError
from mtrl.supervised.benchmark import Benchmark, MultiTaskModel, Split


@torch.no_grad()
def measure(
    benchmark: Benchmark, model: MultiTaskModel, split: Split, batch_size: int, device: torch.device
) -> dict[str, float]:
    """Every metric of the benchmark by name, in its order; the model is left in evaluation mode.

    Raises:
        UserError: one is not finite.
    """
    model.eval()
    meter = benchmark.meter(split)
    for indices in torch.arange(len(split)).split(batch_size):
        batch = split.batch(indices, None).to(device)
        meter.update(model.predict(model.represent(batch.inputs)), batch)
    result = meter.result()
    values = {metric.name: float(result[metric.name]) for metric in benchmark.metrics}
    for name, value in values.items():
        if not math.isfinite(value):
            raise UserError(f"metric {name} is not finite ({value}): the model has diverged, stopped")
    return values
