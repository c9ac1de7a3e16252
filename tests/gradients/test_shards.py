"""The equal parts that ranks keep of a gradient: together they are the whole, whatever its length."""

import pytest
import torch
from torch.testing import assert_close

from mtrl.gradients import TaskGradients
from mtrl.gradients.leaves import ROW
from mtrl.gradients.shards import in_equal_parts, in_rows


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 7, ROW, ROW + 1, 5 * ROW + 3])
def test_the_parts_are_the_whole(length, ranks):
    rows, weights = torch.randn(3, length, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    parts = in_equal_parts(rows, ranks).chunk(ranks, 1)
    assert len({part.shape for part in parts}) == 1
    assert_close(torch.cat(parts, 1)[:, :length], rows, rtol=0, atol=0)
    kept = [TaskGradients({"": in_rows(part)}) for part in parts]
    assert_close(sum(part.gram() for part in kept), rows @ rows.T)
    combined = torch.cat([part.combine(weights)[""].flatten() for part in kept])
    assert_close(combined[:length], weights @ rows)
