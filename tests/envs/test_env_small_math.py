"""The cheap helpers equal those that they stand for, to the last bit and the last type."""

import itertools

import mujoco
import numpy as np
import pytest
from metaworld.utils import reward_utils
from scipy.spatial.transform import Rotation

from mtrl.envs.metaworld.internals import small_math


def test_quaternions_equal_scipys() -> None:
    rng = np.random.default_rng(0)
    spread = np.array([[1, 1, 1, 1], [1, 1e-2, 1e-2, 1e-2], [1, 0, 0, 1], [0.7, 1e-9, 1e-5, 0.7], [0, 0, 1, 0]])
    quaternions = (spread[:, None] * rng.normal(size=(5, 400, 4))).reshape(-1, 4)
    matrix = np.empty(9)
    for quaternion in quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True):
        mujoco.mju_quat2Mat(matrix, quaternion)
        square = matrix.reshape(3, 3)
        ours = small_math.Rotation.from_matrix(square).as_quat()
        assert ours.tobytes() == Rotation.from_matrix(square).as_quat().tobytes()


@pytest.mark.parametrize("sigmoid", ["long_tail", "gaussian", "hyperbolic", "linear"])
def test_tolerance_equals_metaworlds(sigmoid: str) -> None:
    rng = np.random.default_rng(1)
    for x, upper, margin in rng.uniform(-0.1, 0.6, (2000, 3)):
        arguments = (x, (min(0.0, upper), max(0.0, upper)), abs(margin), sigmoid)
        with np.errstate(over="ignore"):
            _assert_same(small_math.tolerance(*arguments), reward_utils.tolerance(*arguments))


def test_tolerance_at_the_edges_of_its_arguments() -> None:
    values = [0, 0.05, np.float64(0.05), np.float32(0.3), np.inf, np.nan, np.array([0.01, 0.2])]
    for x, margin in itertools.product(values, [0, 0.0, 0.1, np.float64(0.1), np.float32(0.1)]):
        for bounds in [(0, 0.05), (0.0, 0.0), (np.float64(-1), 0.2), (0.02, np.inf)]:
            with np.errstate(invalid="ignore"):
                for at_margin in (0.1, 0.3):
                    arguments = (x, bounds, margin, "long_tail", at_margin)
                    _assert_same(small_math.tolerance(*arguments), reward_utils.tolerance(*arguments))


def test_tolerance_refuses_what_metaworld_refuses() -> None:
    with pytest.raises(ValueError, match="Lower bound"):
        small_math.tolerance(0.1, (1.0, 0.0), 0.1)
    with pytest.raises(ValueError, match="margin"):
        small_math.tolerance(0.1, (0.0, 1.0), -0.1)


def test_norm_equals_numpys() -> None:
    rng = np.random.default_rng(2)
    for size in (0, 1, 2, 3, 4, 9):
        for vector in rng.normal(size=(300, size)) * 10.0 ** rng.integers(-150, 150, (300, 1)):
            _assert_same(small_math.norm(vector), np.linalg.norm(vector))
            _assert_same(small_math.norm(vector, ord=2), np.linalg.norm(vector, ord=2))
            _assert_same(small_math.norm(vector[::-1][::2]), np.linalg.norm(vector[::-1][::2]))
    for other in (-0.3, np.float64(0.1), np.float32(0.1), [1, 2], np.array([1, 2]), np.eye(3), np.ones(3, np.float32)):
        _assert_same(small_math.norm(other), np.linalg.norm(other))
    _assert_same(small_math.norm(np.eye(3), axis=1), np.linalg.norm(np.eye(3), axis=1))
    _assert_same(small_math.norm(np.ones(3), ord=1), np.linalg.norm(np.ones(3), ord=1))


def test_hstack_equals_numpys() -> None:
    doubles = (np.float64(0.1), np.float64(-0.0))
    for parts in (doubles, doubles[:1], (np.float32(0.1), doubles[0]), (np.ones(2), np.zeros(1)), [1, 2.5]):
        _assert_same(small_math.hstack(parts), np.hstack(parts))


def _assert_same(ours: object, theirs: object) -> None:
    assert type(ours) is type(theirs)
    assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()
