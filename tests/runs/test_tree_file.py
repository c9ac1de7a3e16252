"""Trees in files: what goes in comes out, and nothing else does."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from mtrl.runs.tree_file import read_tree, write_tree


class Pair(NamedTuple):
    one: int
    other: torch.Tensor


def tree() -> dict[str, Any]:
    torch.manual_seed(0)
    dtypes = (torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float16, torch.float32, torch.float64)
    return {
        "none": None,
        "plain": [True, 3, -(2**70), 0.1, "text, é", [], {}],
        "by number": {0: 1.5, 7: {"x": (1, 2.0)}},
        "pair": Pair(1, torch.ones(2)),
        "tensors": [torch.randint(0, 2, (3, 5)).to(dtype) for dtype in dtypes],
        "turned": torch.randn(4, 6).T[1:],
        "empty": torch.zeros(3, 0, 2),
        "scalar": torch.tensor(2.5),
        "arrays": [np.arange(6.0).reshape(2, 3).T, np.array(3), np.zeros((0, 4), bool), np.arange(5, dtype=np.uint32)],
        "number": np.int64(5),
    }


def written(path: Path, value: Any, about: Mapping[str, Any] = {}) -> Path:
    with path.open("wb") as file:
        write_tree(file, about, value)
    return path


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    elif isinstance(one, np.ndarray | np.generic):
        assert isinstance(other, np.ndarray)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert np.array_equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert type(other) is (list if isinstance(one, list) else tuple)
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert type(one) is type(other)
        assert one == other


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    saved = read_tree(written(tmp_path / "file", tree(), {"step": 3}))
    assert saved.about == {"step": 3}
    assert_same(tree(), saved.tree)


def test_what_comes_out_is_its_own(tmp_path: Path) -> None:
    saved = read_tree(written(tmp_path / "file", [torch.zeros(3), np.zeros(3)]))
    saved.tree[0][0] = 1
    saved.tree[1][0] = 1
    assert_same([torch.zeros(3), np.zeros(3)], read_tree(tmp_path / "file").tree)


@pytest.mark.parametrize("value", [object(), {1.5: 0}, {"a": {(1, 2): 0}}, 1j, np.array(["a"]), {1, 2}, b"bytes"])
def test_other_things_are_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be saved"):
        written(tmp_path / "file", value)


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "file", {"a": torch.randn(3), "b": [1, (2.5, None)]}, {"step": 1})
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1 << position % 8]) + content[position + 1 :])
        with pytest.raises(ValueError, match=r"\w"):
            read_tree(path)


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "file", {"a": torch.randn(3), "b": [1, (2.5, None)]})
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"\w"):
            read_tree(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="too long"):
        read_tree(path)


@pytest.mark.parametrize(
    "table",
    [
        {"about": {}, "tree": {"tensor": 0}, "tensors": [{"dtype": "float32", "shape": [2**43]}]},
        {"about": {}, "tree": {"tensor": 0}, "tensors": [{"dtype": "float32", "shape": [-1, -8]}]},
        {"about": {}, "tree": {"tensor": 0}, "tensors": [{"dtype": "object", "shape": [2]}]},
        {"about": {}, "tree": {"tensor": 0}, "tensors": []},
        {"about": {}, "tree": {"call": ["os.system", "true"]}, "tensors": []},
        {"about": {}, "tree": {"mapping": [[[], 1]]}, "tensors": []},
        {"about": {}, "tensors": []},
        [],
    ],
)
def test_a_table_of_something_else_is_refused(tmp_path: Path, table: Any) -> None:
    """Also where the checksum is right, and before memory is taken."""
    written(path := tmp_path / "file", None)
    text = json.dumps(table).encode()
    head = b"mtrl tree 1\n" + len(text).to_bytes(8, "little") + text
    head += bytes(-len(head) % 64)
    path.write_bytes(head + zlib.crc32(head).to_bytes(4, "little"))
    with pytest.raises(ValueError, match=r"table"):
        read_tree(path)


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    for name in ("/dev/zero", "/dev/null"):
        with pytest.raises(ValueError, match="not a regular file"):
            read_tree(Path(name))


def test_a_file_larger_than_the_memory_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "file", None)
    try:
        os.truncate(path, 2**43)
    except OSError:
        pytest.skip("this file system has no files with holes of that size")
    with pytest.raises(ValueError, match="memory"):
        read_tree(path)
