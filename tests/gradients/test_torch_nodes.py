"""The names that torch gives to the nodes of a graph, and what these save: all that the package reads of its inside."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mtrl.gradients import torch_nodes
from tests.existing import existing

W = nn.Parameter(torch.randn(4, 4))
X = torch.randn(3, 4)
IMAGE, KERNEL = torch.randn(1, 2, 5, 5), nn.Parameter(torch.randn(3, 2, 2, 2))
BUILT = {
    "ADD": (X + W[0], ["alpha"]),
    "ADDMM": (functional.linear(X, W, W[0]), ["mat1", "alpha", "beta"]),
    "CAST": (W.double(), []),
    "CHECKPOINT": (checkpoint(torch.sin, W, use_reentrant=True), []),
    "CONVOLUTION": (
        functional.conv2d(IMAGE, KERNEL),
        ["input", "weight", "groups", "transposed", "stride", "padding", "dilation"],
    ),
    "EMBEDDING": (
        functional.embedding(torch.tensor([1]), W),
        ["indices", "weight_sym_argsize_0", "padding_idx", "scale_grad_by_freq", "sparse"],
    ),
    "LAYER_NORM": (
        functional.layer_norm(X, [4], W[0], W[1]),
        ["input", "result1", "result2", "normalized_shape"],
    ),
    "MM": (X @ W, ["self"]),
    "MULTIPLY": (W * torch.tensor(2.0), ["other"]),
    "STACK": (torch.stack([W.sum(), W.mean()]), []),
    "TRANSPOSE": (W.t(), []),
    "UNBIND": (W.unbind()[0], []),
}


@pytest.mark.parametrize("name", BUILT)
def test_a_node_has_the_name_and_saves_what_is_read(name):
    built, saved = BUILT[name]
    assert torch_nodes.kind(built.grad_fn) == getattr(torch_nodes, name)
    for field in saved:
        assert hasattr(built.grad_fn, f"_saved_{field}")


@pytest.mark.parametrize(("name", "field"), [("MM", "self"), ("ADDMM", "mat1"), ("CONVOLUTION", "input")])
def test_a_tensor_under_a_hook_is_not_plainly_saved(name, field):
    assert torch_nodes.is_plainly_saved(BUILT[name][0].grad_fn, field)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        hooked = {"MM": X @ W, "ADDMM": functional.linear(X, W, W[0]), "CONVOLUTION": functional.conv2d(IMAGE, KERNEL)}
    assert not torch_nodes.is_plainly_saved(hooked[name].grad_fn, field)


def test_hooks_on_a_node_are_seen_and_left():
    def same(*gradients):
        return None

    for kind in ("register_hook", "register_prehook"):
        node = existing((X @ W).grad_fn)
        assert not torch_nodes.is_hooked(node)
        handle = getattr(node, kind)(same)
        assert torch_nodes.is_hooked(node)
        assert torch_nodes.is_hooked(node)
        handle.remove()
        assert not torch_nodes.is_hooked(node)


def test_a_hook_on_a_tensor_that_changes_its_gradient_is_seen():
    for transposed in (W.t(), W.double()):
        assert not torch_nodes.changes_gradients(transposed.grad_fn)
        transposed.register_hook(lambda gradient: None)
        assert not torch_nodes.changes_gradients(transposed.grad_fn)
        transposed.register_hook(lambda gradient: gradient.clamp(-1, 1))
        assert torch_nodes.changes_gradients(transposed.grad_fn)


def test_the_leaf_of_a_graph_is_the_parameter():
    ((node, _),) = existing(W.sin().grad_fn).next_functions
    assert torch_nodes.kind(node) == torch_nodes.LEAF
    assert torch_nodes.leaf_at(node) is W
    assert torch_nodes.leaf_at(W.sin().grad_fn) is None


def test_every_name_is_built_here_or_beside():
    """A compiled module is in `test_compiled`, whose second program would be answered wrongly under another name."""
    names = {name for name in vars(torch_nodes) if name.isupper()}
    assert names == {*BUILT, "LEAF", "COMPILED"}
