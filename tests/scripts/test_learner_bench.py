"""What `scripts.bench_learner` measures updates against."""

import pytest
from torch.utils.flop_counter import FlopCounterMode

from scripts.learner_bench.products import Products
from scripts.learner_bench.updates import NETWORKS, Setting, made_up_batch, plain_learner


@pytest.mark.parametrize("network", ["quick", "3x400"])
def test_the_products_are_those_of_a_plain_update(network: str) -> None:
    setting = Setting(network, "float32", num_seeds=2, device="cpu", mode="eager", num_tasks=3)
    learner, batch = plain_learner(setting), made_up_batch(2, 3, NETWORKS[network]["batch"])
    counts = []
    for call in (lambda: learner.update(batch), Products(learner, NETWORKS[network]["batch"])):
        with FlopCounterMode(display=False) as counter:
            call()
        counts.append(counter.get_total_flops())
    update, products = counts
    assert products == update
