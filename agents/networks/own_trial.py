"""A network of one's own, tried before anything is written: what it lacks, and gradients that would be wrong.

Axes: `T` tasks, `B` rows, `I` inputs, `O` outputs.
"""

import torch
from torch import Generator, Tensor

from mtrl.agents.networks.network import Network, make_network
from mtrl.agents.networks.network_config import ConditioningConfig, NetworkConfig
from mtrl.agents.networks.parameters import NetworkParameters
from mtrl.gradients import Parameters, Tape, linear_task_gradients, over_tasks

_TASKS, _ROWS, _OUTPUTS = 2, 3, 2
_CLOSE = 1e-6  # of gradients in float64, relative to the largest entry


def try_network(config: NetworkConfig, conditioning: ConditioningConfig, num_inputs: int) -> None:
    """Makes a network that is not ours and compares the tasks' gradients with those of a plain backward pass each.

    Args:
        config: of the trunk; nothing is done for a kind of ours.
        conditioning: of the network on the task.
        num_inputs: `I`.

    Raises:
        ValueError: it fails, or a task's gradient is not its own: of a layer that is used twice, say; one line.
    """
    if config.is_ours:
        return
    try:
        network = make_network(config, conditioning, num_inputs, _OUTPUTS, 1.0, torch.float64)
        wrong = _wrong(network, num_inputs)
    except Exception as error:
        why = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise ValueError(f"network {config.kind!r} fails: {why}") from error
    if wrong:
        raise ValueError(
            f"network {config.kind!r}: the tasks' gradients of {wrong} are not theirs; a linear layer must have a name "
            "of its own and be called once in a forward pass"
        )


def _wrong(network: Network, num_inputs: int) -> str | None:
    """The first parameter whose gradients differ from the plain ones.

    Raises:
        FloatingPointError: an output or a gradient is not finite.
    """
    generator = Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    first = network.init(_TASKS, generator)
    parameters = NetworkParameters(
        *({name: tensor + 0.1 * random(*tensor.shape) for name, tensor in group.items()} for group in first)
    )
    x, y = random(_TASKS, _ROWS, num_inputs), random(_TASKS, _ROWS, _OUTPUTS)

    def loss(tape: Tape, shared: Parameters, own: Parameters, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        error = network(tape, shared, own, x) - y
        return (error**2).mean(), error.detach()

    found, found_own, *_ = linear_task_gradients(over_tasks(loss), *parameters, x, y, num_tasks=_TASKS, num_rows=_ROWS)
    shared = found.whole()
    leaves = [tensor.requires_grad_() for tensor in parameters.tensors()]
    for task in range(_TASKS):
        slices = {name: tensor[task] for name, tensor in parameters.own.items()}
        value, _ = loss({}, parameters.shared, slices, x[task], y[task])
        plain = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
        if not all(bool(tensor.isfinite().all()) for tensor in (value, *plain)):
            raise FloatingPointError("its outputs or their gradients are not finite")
        expected = dict(zip([*parameters.shared, *parameters.own], plain, strict=True))
        for name in parameters.shared:
            if not _are_close(shared[name][task], expected[name]):
                return name
        for name in parameters.own:
            if not _are_close(found_own[name][task], expected[name][task]):
                return name
    return None


def _are_close(found: Tensor, expected: Tensor) -> bool:
    scale = max(1.0, float(expected.abs().max()))
    return found.shape == expected.shape and bool(((found - expected).abs() <= _CLOSE * scale).all())
