"""The newest checkpoint of a run as a policy."""

from pathlib import Path
from typing import NamedTuple

from mtrl import envs
from mtrl.agents.config import Config
from mtrl.agents.evaluation import Policy, deterministic_policy
from mtrl.agents.factory import make_learner
from mtrl.agents.interface import ActorFunction
from mtrl.agents.precision import Precision, with_precision
from mtrl.runs import checkpoint, devices
from mtrl.runs.errors import in_section
from mtrl.runs.folder import load_config
from mtrl.runs.policy_only import whole_agent


class SavedPolicy(NamedTuple):
    """A deterministic policy and where it comes from."""

    policy: Policy
    config: Config
    """The run's configuration; its one seed decides the goals."""
    tasks: tuple[str, ...]
    step: int
    """Environment steps, summed over tasks, at the checkpoint."""
    updates: int
    sizes: envs.Sizes
    infos: tuple[envs.TaskInfo, ...]
    """Of the tasks."""
    actor: ActorFunction
    """The policy as a function of its parameters."""


def load_policy(folder: Path, device: str, precision: Precision | None = None) -> SavedPolicy:
    """The policy of the newest checkpoint in the folder of one seed of a run, finished or running.

    Args:
        folder: of the seed.
        device: that it runs on.
        precision: of its matrix products; by default as in training.

    Raises:
        UserError: there is no run, no readable checkpoint, no such device, or a task is not found.
    """
    config = load_config(folder, Config)
    state = checkpoint.load_newest(folder / "checkpoints", config)
    place = devices.choose(device)
    with in_section("env"):
        tasks = envs.task_names(config.env.tasks)
        sizes, infos = envs.sizes(tasks, config.env.one_hot), envs.task_infos(tasks)
    if precision:
        config = with_precision(config, precision)
    learner = make_learner(config, infos, place, config.seeds)
    with checkpoint.taking(folder / "checkpoints"):
        learner.load_state_dict([whole_agent(state, learner.state_dict(0))])
    return SavedPolicy(
        policy=deterministic_policy(learner, 0),
        config=config,
        tasks=tasks,
        step=state["step"],
        updates=state["agent"]["num_updates"],
        sizes=sizes,
        infos=infos,
        actor=learner.actor_function(0),
    )
