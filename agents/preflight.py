"""Checks of a run before anything of it is written: what cannot work is refused, what will not be learned is noted.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments of each, `O` observation, `A` action.
"""

from mtrl import aggregation, envs
from mtrl.agents.config import Config
from mtrl.agents.environments import MOST_ENVS_PER_TASK
from mtrl.agents.factory import check_installed
from mtrl.agents.networks import NetworkConfig, try_network
from mtrl.agents.replay import kept_numbers, whole_numbers
from mtrl.runs.devices import memory
from mtrl.runs.errors import UserError, in_section
from mtrl.runs.method_trial import try_method

_FLOAT = 4  # bytes
_STATES = 4  # of a parameter: itself, its gradient and Adam's two moments


def check(config: Config, num_seeds: int) -> None:
    """Refuses what could not be trained or evaluated to its end on this machine.

    Args:
        config: of the run.
        num_seeds: S, side by side.

    Raises:
        UserError: names the field.
        ModuleNotFoundError: names the package and the extra that has it.
    """
    with in_section("env"):
        tasks = envs.task_names(config.env.tasks)
        sizes = envs.sizes(tasks, config.env.one_hot)
    for section, horizon in (("env", config.env.horizon), ("evaluation", config.evaluation.horizon)):
        with in_section(section):
            _horizons(config, horizon)
    check_installed(config)
    agent = config.agent
    for name, network, inputs in (
        ("actor", agent.actor, sizes.observation),
        ("critic", agent.critic, sizes.observation + sizes.action),
    ):
        try:
            try_network(network, agent.conditioning, inputs)
        except ValueError as error:
            raise UserError(f"agent.{name}: {error}") from error
    method = config.method
    if agent.aggregated == "actor" and aggregation.make(method.name, **method.arguments).positive_losses:
        rule = f"agent.aggregated must be both or critic with {method.name}, which needs positive losses"
        raise UserError(f"{rule}, got actor: both networks would take the mean")
    if agent.single_task == "none":
        try_method(config.method, len(tasks), (num_seeds,))
        try:
            config.method.make_apart(range(num_seeds))
        except ValueError as error:
            raise UserError(f"method: {error}; give method.seed, or training.seeds_at_once 1") from error
    for what, needed in _needs(config, num_seeds, len(tasks), sizes).items():
        if needed > memory():
            gib = f"{needed / 2**30:,.0f} GiB, and this machine has {memory() / 2**30:,.0f}"
            raise UserError(f"{what} would take {gib}")


def check_ranks(config: Config, size: int) -> None:
    """Refuses what so many ranks cannot train together; one always can.

    Raises:
        UserError: names the field.
    """
    if size == 1:
        return
    tasks = len(envs.task_names(config.env.tasks))
    if tasks < size:
        raise UserError(f"each rank needs a task of env.tasks: {size} ranks, and tasks are {tasks}")
    if config.agent.single_task != "none":
        raise UserError(
            f"agent.single_task must be none over ranks, got {config.agent.single_task}: its agents share nothing"
        )
    if 0 < config.training.seeds_at_once < len(config.seeds):
        rule = f"training.seeds_at_once must be 0 or all {len(config.seeds)} over ranks"
        raise UserError(f"{rule}, which train seeds side by side, got {config.training.seeds_at_once}")
    if config.env.backend != "metaworld":
        raise UserError(f"env.backend must be metaworld over ranks, got {config.env.backend}")


def notes(config: Config) -> list[str]:
    """Notes on what a user may not have meant, a line each."""
    tasks = len(envs.task_names(config.env.tasks))
    told = []
    if config.steps <= config.training.warmup_steps:
        told.append(
            f"nothing will be learned: steps {config.steps:,} are no more than "
            f"training.warmup_steps {config.training.warmup_steps:,}"
        )
    # All step together: the first episode to end is that of the shortest horizon.
    whole = min(_horizons(config, config.env.horizon)) * config.env.num_envs_per_task * tasks
    if whole > config.steps:
        told.append(
            f"no episode may end in training: the first takes {whole:,} steps of all environments together, "
            f"steps are {config.steps:,}"
        )
    agent = config.agent
    if agent.value != "scalar" and agent.reward_scaling != "return":
        told.append(
            f"agent.value {agent.value} covers returns up to agent.value_limit {agent.value_limit:g}, to which "
            f"agent.reward_scaling {agent.reward_scaling} does not bring them: larger ones are the limit to the critic"
        )
    if agent.single_task != "none" and agent.temperature == "shared":
        told.append(f"agent.temperature shared does nothing with agent.single_task {agent.single_task}: it is per task")
    if config.training.cuda_graphs and not config.training.compile:
        told.append("training.cuda_graphs does nothing while training.compile is false: they are of a compiled update")
    return told


def _needs(config: Config, num_seeds: int, num_tasks: int, sizes: envs.Sizes) -> dict[str, int]:
    """Bytes by what takes them, from below: what is refused would not have fitted."""
    training, section = config.training, config.env
    kept, drawn = kept_numbers(*sizes), whole_numbers(*sizes)
    batch = num_seeds * num_tasks * training.batch_per_task
    widest = max(config.agent.actor.width, config.agent.critic.width)
    actions, horizon = num_tasks * sizes.action * _FLOAT, max(_horizons(config, section.horizon))
    return {
        "training.replay_capacity_per_task": num_seeds * num_tasks * training.replay_capacity_per_task * kept * _FLOAT,
        "training.batch_per_task": batch * (drawn + widest) * _FLOAT,
        "env.horizon times env.num_envs_per_task": num_seeds * horizon * section.num_envs_per_task * actions,
        "evaluation.horizon": max(_horizons(config, config.evaluation.horizon)) * MOST_ENVS_PER_TASK * actions,
        "agent.actor": num_seeds * _STATES * _parameters(config.agent.actor) * _FLOAT,
        "agent.critic": num_seeds * 2 * _STATES * _parameters(config.agent.critic) * _FLOAT,
        "agent.num_atoms": batch * 2 * config.agent.num_atoms * _FLOAT,
    }


def _horizons(config: Config, horizon: int | None) -> tuple[int, ...]:
    """Steps of an episode of each task."""
    return envs.horizons(envs.task_infos(config.env.tasks), horizon)


def _parameters(config: NetworkConfig) -> int:
    """Fewer than a trunk has: one matrix a layer."""
    return config.depth * config.width**2
