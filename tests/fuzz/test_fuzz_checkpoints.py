"""Any checkpoint is what was written, or one line."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.tree_file import read_tree, write_tree
from tests.fuzz.hostile import at_once, damaged_bytes, fuzz, one_line
from tests.runs.test_tree_file import assert_same

tensors = st.builds(
    lambda shape, dtype: torch.arange(int(np.prod(shape))).reshape(shape).to(dtype),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from([torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float32, torch.float64]),
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), tensors)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)


@fuzz(100, 5_000)
def test_what_goes_in_comes_out(folder: Path) -> None:
    @given(trees)
    def holds(tree: Any) -> None:
        with (folder / "file").open("wb") as file:
            write_tree(file, {}, tree)
        assert_same(tree, read_tree(folder / "file").tree)

    holds()


@fuzz(150, 10_000)
def test_damage_is_noticed(folder: Path) -> None:
    written = io.BytesIO()
    write_tree(written, {"step": 3}, {"a": torch.randn(20), "b": [1, {"c": (None, "x")}], 3: np.arange(4)})
    content = written.getvalue()
    path = folder / "000000000003.pt"

    @given(damaged_bytes(content))
    def holds(damaged: bytes) -> None:
        path.write_bytes(damaged)
        if damaged == content:
            return
        with pytest.raises(UserError) as caught, at_once():
            checkpoint.load(folder, 3)
        one_line(caught.value)

    holds()
