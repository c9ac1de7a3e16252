"""Measures of conflict, from the Gram matrix alone."""

import pytest
import torch

from mtrl import conflict

J = torch.tensor([[3.0, 4.0], [-3.0, -4.0], [4.0, -3.0], [0.0, 0.0]], dtype=torch.float64)
G = J @ J.mT


def test_norms() -> None:
    assert conflict.norms(G).tolist() == [5, 5, 5, 0]


def test_cosines() -> None:
    expected = [[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert conflict.cosines(G).tolist() == expected


def test_conflict_rate_counts_pairs() -> None:
    assert conflict.conflict_rate(G) == 1 / 6
    assert conflict.conflict_rate(torch.eye(1)) == 0


def test_scale_does_not_matter() -> None:
    scale = torch.tensor([1e-15, 1.0, 1e12, 1.0], dtype=torch.float64)
    scaled = G * scale * scale[:, None]
    torch.testing.assert_close(conflict.cosines(scaled), conflict.cosines(G))
    assert conflict.conflict_rate(scaled) == 1 / 6


def test_tiny_float32_norms_do_not_underflow() -> None:
    tiny = torch.full((2, 2), 1e-36)
    torch.testing.assert_close(conflict.cosines(tiny), torch.ones(2, 2))


def test_batch_equals_loop_and_nan_stays_in_its_matrix() -> None:
    batch = torch.stack((G, 2 * G, G * torch.nan))
    for measure in (conflict.norms, conflict.cosines, conflict.conflict_rate):
        values = measure(batch)
        assert torch.equal(values[0], measure(G))
        assert torch.equal(values[1], measure(2 * G))
        assert values[2].isnan().any()
        assert measure(torch.empty(3, 4, 4, device="meta")).device.type == "meta"


@pytest.mark.parametrize("measure", [conflict.norms, conflict.cosines, conflict.conflict_rate])
def test_gradients_are_no_gram_matrix(measure) -> None:
    with pytest.raises(ValueError, match=r"gram needs the shape \[..., T, T\] with T >= 1, got \[4, 2\]"):
        measure(J)
