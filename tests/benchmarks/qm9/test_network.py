"""The dense network against the same one written edge by edge, and against torch_geometric's layers."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mtrl.benchmarks.qm9 import QM9
from mtrl.benchmarks.qm9.files import read_folder
from mtrl.benchmarks.qm9.network import Network
from tests.benchmarks.qm9.raw_sample import write
from tests.oracles import qm9_network as oracle


@pytest.fixture(scope="module")
def molecules(tmp_path_factory):
    return read_folder(write(tmp_path_factory.mktemp("qm9")))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network(11)


def test_the_papers_network_has_617_675_parameters(network):
    assert sum(p.numel() for p in network.parameters()) == 617_675
    assert sum(p.numel() for p in network.shared_parameters()) == 617_675 - 11 * 65
    assert sum(p.numel() for p in QM9().model().parameters()) == 617_675


def test_outputs_are_those_of_the_form_with_a_matrix_per_edge(molecules, network):
    graphs = molecules.graphs(torch.arange(30))
    assert_close(network.represent(graphs), oracle.represent(network, graphs), atol=1e-6, rtol=0)


def test_gradients_are_those_of_the_form_with_a_matrix_per_edge(molecules, network):
    network.double()
    graphs = molecules.graphs(torch.arange(8))
    graphs = graphs._replace(atoms=graphs.atoms.double(), edges=graphs.edges.double())
    cotangent = torch.randn(8, 64, dtype=torch.float64)
    dense, plain = (
        torch.autograd.grad(z, network.shared_parameters(), cotangent)
        for z in (network.represent(graphs), oracle.represent(network, graphs))
    )
    for ours, theirs in zip(dense, plain, strict=True):
        assert_close(ours, theirs)
        assert theirs.any()


@pytest.mark.parametrize("bias", [-3.0, 0.0, 3.0])
def test_units_that_are_off_or_linear_on_a_batch_share_channels_exactly(molecules, network, bias):
    nn.init.constant_(network.edge_network.first.bias, bias)
    graphs = molecules.graphs(torch.arange(10, 20))
    edges = graphs.edges[graphs.present.all(1)]  # of the largest ones
    values, weights = network.edge_network([edges])
    assert len(weights) < 129
    matrices = torch.einsum("bijc,cpq->bijpq", values[0], weights)
    n = edges.shape[1]
    i, j = torch.triu_indices(n, n, 1)
    expected = oracle.edge_matrices(network, edges[:, i, j].flatten(0, 1))
    assert_close(matrices[:, i, j].flatten(0, 1), expected, atol=2e-6, rtol=1e-5)


def test_a_molecule_is_represented_the_same_in_any_company(molecules, network):
    together = network.represent(molecules.graphs(torch.arange(20)))
    for i in (0, 7, 19):
        assert_close(network.represent(molecules.graphs(torch.tensor([i])))[0], together[i], atol=1e-6, rtol=0)
    backwards = network.represent(molecules.graphs(torch.arange(20).flip(0)))
    assert_close(backwards.flip(0), together, atol=1e-6, rtol=0)


def test_a_single_atom_receives_nothing(molecules, network):
    graphs = molecules.graphs(torch.arange(3))
    alone = graphs._replace(present=graphs.present & (torch.arange(graphs.present.shape[1]) < 1))
    x = network.lift(graphs.atoms[:, 0]).relu()
    for _ in range(3):
        x = network.gru(network.root(x).relu(), x)
    pooled, state = x.new_zeros(3, 128), None
    for _ in range(3):
        state = network.lstm(pooled, state)
        pooled = torch.cat([state[0], x], 1)
    assert_close(network.represent(alone), network.join(pooled).relu(), atol=1e-6, rtol=0)


def test_the_order_of_atoms_does_not_matter(molecules, network):
    graphs = molecules.graphs(torch.tensor([5]))
    shuffled = torch.randperm(graphs.atoms.shape[1], generator=torch.Generator().manual_seed(1))
    turned = graphs._replace(atoms=graphs.atoms[:, shuffled], edges=graphs.edges[:, shuffled][:, :, shuffled])
    assert_close(network.represent(turned), network.represent(graphs), atol=1e-6, rtol=0)


def test_messages_are_those_of_torch_geometric(molecules, network):
    """Its NNConv and Set2Set with our parameters, in the network of Navon et al. 2022."""
    geometric = pytest.importorskip("torch_geometric.nn")
    edge, width = network.edge_network, 64
    matrices = nn.Sequential(edge.first, nn.ReLU(), edge.second)
    conv = geometric.NNConv(width, width, matrices, aggr="mean")
    conv.lin.weight, conv.bias = network.root.weight, network.root.bias
    set2set = geometric.Set2Set(width, processing_steps=3)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    set2set.lstm.load_state_dict({f"{name}_l0": getattr(network.lstm, name).detach() for name in names})
    graphs = molecules.graphs(torch.arange(30))
    molecule, atom = graphs.present.nonzero().unbind(1)
    pairs = graphs.present[:, :, None] & graphs.present[:, None] & ~torch.eye(graphs.present.shape[1], dtype=torch.bool)
    of_pair, sender, receiver = pairs.nonzero().unbind(1)
    number = torch.zeros_like(graphs.present, dtype=torch.int64)
    number[molecule, atom] = torch.arange(len(molecule))
    index = torch.stack([number[of_pair, sender], number[of_pair, receiver]])
    x = network.lift(graphs.atoms[graphs.present]).relu()
    for _ in range(3):
        x = network.gru(conv(x, index, graphs.edges[pairs]).relu(), x)
    expected = network.join(set2set(x, molecule)).relu()
    assert_close(network.represent(graphs), expected, atol=1e-6, rtol=0)
