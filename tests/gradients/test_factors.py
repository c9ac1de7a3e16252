"""The Gram matrix of a weight's gradients, by rows and by products: one matrix, whatever the shapes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtrl.gradients import Factors, TaskGradients

SIZES = st.integers(1, 7)


def drawn(shape: tuple[int, ...], rows: int, inputs: int, outputs: int, dtype: torch.dtype) -> Factors:
    generator = torch.Generator().manual_seed(0)
    x, d = (torch.randn(*shape, rows, size, generator=generator, dtype=dtype) for size in (inputs, outputs))
    return Factors(x, d)


@settings(deadline=None, max_examples=60)
@given(leading=st.integers(0, 2), matrices=st.integers(0, 2), tasks=SIZES, rows=SIZES, inputs=SIZES, outputs=SIZES)
def test_by_rows_and_by_products_are_equal(leading, matrices, tasks, rows, inputs, outputs):
    """With replicas before the task axis and matrices side by side between the two."""
    shape = (2,) * leading + (3,) * matrices
    factors = drawn((*shape, tasks), rows, inputs, outputs, torch.float64)
    product = factors.product(leading)
    assert product.shape == (*shape[:leading], tasks, *shape[leading:], inputs, outputs)
    flat = product.flatten(leading + 1)
    torch.testing.assert_close(factors.gram(leading), flat @ flat.mT)
    torch.testing.assert_close(TaskGradients({"weight": factors}, leading).gram(), flat @ flat.mT)
    weights = torch.rand(*shape[:leading], tasks, dtype=torch.float64)
    expected = (weights.unsqueeze(-2) @ flat).view(*shape, inputs, outputs)
    torch.testing.assert_close(factors.combine(weights), expected)


@pytest.mark.parametrize(("rows", "by_rows"), [(16, True), (25, True), (26, False), (128, False)])
def test_many_rows_a_task_go_by_products(rows, by_rows):
    assert drawn((2,), rows, 256, 256, torch.float32).by_rows == by_rows


def test_by_rows_of_bfloat16_the_gram_matrix_is_in_float32():
    """Nearly parallel tasks: rounded to bfloat16, the products of the rows would not be semidefinite."""
    x, d = drawn((1,), 8, 32, 32, torch.float32)
    noise = 1e-3 * torch.randn(6, 8, 32, generator=torch.Generator().manual_seed(1))
    factors = Factors((x + noise).bfloat16(), d + noise)
    gram = factors.gram(0)
    assert gram.dtype == torch.float32
    assert torch.linalg.eigvalsh(gram.double()).min() >= -1e-6 * gram.trace()
