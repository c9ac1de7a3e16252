"""What a run is made of: one frozen tree of typed fields, checked where it is made.

The docstring under a field is its help text. A saved run's `config.yaml` is this tree and a valid input.
Steps are environment transitions summed over tasks unless a name says otherwise.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor

from mtrl import envs
from mtrl.agents.networks import ConditioningConfig, NetworkConfig
from mtrl.agents.required_fields import SINGLE_TASK, differences, legacy_differences
from mtrl.envs.registered.names import with_arguments
from mtrl.protocols import LEGACY
from mtrl.runs.section import (
    Count,
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    RunConfig,
    RunName,
    Section,
    Seed,
    Threads,
)


def _as_names(tasks: Any) -> Any:
    """Tasks with keyword arguments as the one text that says both, `Name-v0(key=value)`; all else as it is."""
    if isinstance(tasks, Mapping):
        return with_arguments(tasks)
    if isinstance(tasks, list | tuple):
        return tuple(with_arguments(task) if isinstance(task, Mapping) else task for task in tasks)
    return tasks


class EnvConfig(Section):
    """Where the transitions come from."""

    tasks: Annotated[str | tuple[str, ...], BeforeValidator(_as_names)] = "MT10"
    """A benchmark (`MT10`, `MT25`, `MT50`), one task (`MT1:reach-v3`, `Hopper-v5`), or a list of any of Meta-World V3's
    tasks and of registered Gymnasium environments (`Name-v0`, `module:Name-v0`, `dm_control/cheetah-run-v0`,
    `{id: Name-v0, kwargs: {...}}`): vectors of whatever sizes, padded to the longest."""
    backend: Literal["metaworld", "envpool"] = "metaworld"
    """Training simulator of Meta-World's tasks: `metaworld` is exact; `envpool` is faster, with another MuJoCo, other
    goals and some other rewards."""
    num_envs_per_task: Annotated[int, Field(gt=0, le=10_000)] = 4
    """Environments of each task, stepped together."""
    horizon: Count | None = None
    """Steps after which a training episode is truncated (bootstrapped through, never terminal); a task's own limit
    holds as well, and is all that there is if null. Of Meta-World alone null becomes 200."""
    normalized_observations: Literal["auto", "all", "none"] = "auto"
    """Of which tasks each number observed is shifted and scaled by its running mean and deviation in training, the
    task's own; `auto`: of all but Meta-World's. They are part of the policy: evaluations and exports leave them be."""
    goal_seed: Seed | None = None
    """Decides the goals, as in `metaworld.MT10(seed)`; null for the run's seed."""
    num_goals: Annotated[int, Field(ge=1, le=50)] = 50
    """Goals of each task; 1 is the fixed goal of older papers. Evaluations during training visit the same ones."""
    goals_visible: bool = True
    """Whether the observation holds the goal; zeros stand there otherwise."""
    one_hot: bool = False
    """Append the task's one-hot vector to the observation, which the networks do not need: see `agent.conditioning`."""
    reward_version: Literal["v2", "v1"] = "v2"
    """Which of Meta-World's rewards; with `v1`, success can differ as well."""
    num_workers: Threads = 0
    """Simulator processes of the metaworld backend; 0 takes one for every four cores."""


class AgentConfig(Section):
    """Multi-task soft actor-critic."""

    single_task: Literal["none", "ours", "stable_baselines3"] = "none"
    """An agent of its own for each task, all trained side by side, as the papers' single-task row: `ours`, this agent,
    or `stable_baselines3`, networks, losses and optimizers of their SAC. `none` is one agent of all tasks."""
    actor: NetworkConfig = NetworkConfig()
    """The policy's trunk."""
    critic: NetworkConfig = NetworkConfig(width=384, depth=2)
    """The trunk of each of the twin critics."""
    conditioning: ConditioningConfig = ConditioningConfig()
    """How the networks know the task."""
    value: Literal["scalar", "categorical", "hl_gauss"] = "categorical"
    """Critic: `scalar` (squared error, minimum of the twins), or a distribution (cross-entropy, mean of the twins):
    `categorical` (C51, Bellemare et al. 2017) or `hl_gauss` (a Gaussian around the target, Farebrother et al. 2024)."""
    num_atoms: Annotated[int, Field(ge=3, le=2**16)] = 101
    """Support points of a critic that is a distribution."""
    value_limit: PositiveFloat = 10.0
    """A critic that is a distribution covers scaled returns in [-value_limit, value_limit]."""
    reward_scaling: Literal["none", "return", "deviation"] = "return"
    """When sampled, a task's rewards are scaled: `return`, so that its largest return so far is `value_limit` (BRC,
    Nauman et al. 2025); `deviation`, by their running standard deviation (mtenv's, of CARE's and Nash-MTL's tables)."""
    discount: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """Discount factor gamma."""
    n_step: Annotated[int, Field(gt=0, le=10_000)] = 1
    """Rewards that a sampled transition sums up before it bootstraps."""
    target_rate: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Polyak step tau of the target critics after every update."""
    learning_rate: PositiveFloat = 3e-4
    """Step size of the optimizers of actor, critic and temperatures."""
    final_learning_rate: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The step size falls linearly over the budget to this share of `learning_rate`; 1 keeps it constant."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled weight decay (AdamW) of actor and critic."""
    max_grad_norm: PositiveFloat | None = None
    """The gradient of a network, combined and own parts together, is clipped to this norm; none if null."""
    initial_temperature: PositiveFloat = 0.1
    """First entropy temperature alpha of every task."""
    temperature: Literal["per_task", "shared"] = "per_task"
    """Whether each task has its own temperature; with `single_task` it has."""
    target_entropy: Annotated[float, Field(ge=-1e6, le=1e6)] | None = None
    """Policy entropy that the temperatures of all tasks are steered to, in nats; null for
    `target_entropy_per_dimension` times the numbers that the task's action has."""
    target_entropy_per_dimension: Annotated[float, Field(ge=-1e6, le=1e6)] = -0.5
    """See `target_entropy`: -0.5 is BRC's (-2 in Meta-World), -1 that of Haarnoja et al. (2018b)."""
    log_std_min: Annotated[float, Field(ge=-100, le=100)] = -10.0
    """Smallest log standard deviation of the policy before the tanh."""
    log_std_max: Annotated[float, Field(ge=-100, le=100)] = 2.0
    """Largest log standard deviation of the policy before the tanh."""
    noise_correlation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Correlation of an environment's exploration noise from step to step; each step's distribution stays the same."""
    actor_every: Positive = 1
    """The actor and the temperatures are updated with every n-th critic update."""
    aggregated: Literal["both", "critic", "actor"] = "both"
    """Whose per-task gradients the method aggregates; the other component takes their mean. The critic's at least, with
    a method that needs positive losses."""
    reset_every_updates: NonNegative = 0
    """Networks, temperatures, optimizers and what the method remembers begin anew after every so many updates, with the
    next one (Nikishin et al. 2022); 0 for never."""

    @model_validator(mode="after")
    def _deviations_have_a_range(self) -> Self:
        if self.log_std_min >= self.log_std_max:
            got = f"{self.log_std_min} and {self.log_std_max}"
            raise ValueError(f"agent.log_std_min must be below agent.log_std_max, got {got}")
        return self

    def target_entropy_of(self, action_sizes: Tensor) -> Tensor:
        """Policy entropies to steer to, for tasks whose actions have so many numbers; of the same shape."""
        if self.target_entropy is None:
            return self.target_entropy_per_dimension * action_sizes.float()
        return torch.full(action_sizes.shape, self.target_entropy, device=action_sizes.device, dtype=torch.float32)

    def learning_rate_at(self, share: float) -> float:
        """The step size at a point of the run, `share` of the budget in [0, 1]."""
        return self.learning_rate * (1 - (1 - self.final_learning_rate) * share)


class TrainingConfig(Section):
    """How much of what, and when."""

    warmup_steps: NonNegative = 15_000
    """Uniformly random actions, and no updates, before this step."""
    updates_per_vector_step: Count = 4
    """Gradient updates for every step of all environments."""
    batch_per_task: Count = 32
    """Transitions of each task in an update."""
    replay_capacity_per_task: Positive = 100_000
    """Transitions kept per task; the oldest are overwritten."""
    log_every_steps: Positive = 10_000
    """A line of training metrics is written every so many steps."""
    eval_every_steps: NonNegative = 0
    """The deterministic policy is evaluated every so many steps; 0 for never before the end."""
    eval_episodes: Count = 10
    """Episodes per task of such an evaluation."""
    conflict_every_updates: Positive = 100
    """Norms and cosines of the tasks' gradients are measured every so many updates, whatever the method; a line of the
    log has their means since the line before."""
    checkpoint_every_steps: Positive = 100_000
    """A checkpoint is written every so many steps, and at the end."""
    checkpoint_every_minutes: NonNegativeFloat = 5.0
    """A checkpoint is also written when the last one is so old, so that a lost machine costs minutes; 0 for never."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the matrix products in the networks; everything else is float32, solvers float64. `auto`
    measures these products when the run begins, and takes bfloat16 where it is clearly faster; the run keeps it."""
    compile: bool = False
    """Compile the update with torch.compile (a C++ compiler is needed on the CPU)."""
    cuda_graphs: bool = False
    """Replay the compiled update as CUDA graphs; nothing on the CPU, or where it is not compiled."""
    seeds_at_once: Threads = 0
    """Seeds that train side by side in one process, as one more axis, one such group after the other; each is the run
    of its seed alone up to rounding. 0 takes what is quickest: on a GPU all the run's side by side, on a CPU a process
    for each, as many at once as there are cores."""
    threads: Threads = 0
    """CPU threads of the learner; 0 leaves one core to the simulator, and takes one where each seed is a process."""


class EvaluationConfig(Section):
    """The evaluation at the end of a run."""

    protocol: Literal["modern", "legacy"] = "modern"
    """`modern`: the final policy, V2 rewards, the benchmark's 50 goals. `legacy`: the best of the evaluations during
    training, with the settings of configs/mt10/paper-legacy.yaml; biased upwards, to be read beside old tables only."""
    episodes: Count = 50
    """Episodes per task; 50 visits every goal of the benchmark once."""
    horizon: Count | None = None
    """Steps of an episode, as in `env.horizon`; of Meta-World alone null becomes 500."""
    goal_seed: Seed | None = None
    """Decides the goals; null for those of training, and for `unseen_goals` beside them."""
    unseen_goals: bool = True
    """Whether Meta-World's tasks are played once more, as many episodes on goals that training never saw."""


class Config(RunConfig):
    """A training run."""

    name: RunName = "mt10"
    """Name of the run: its folder is `<out>/<name>/seed_<k>`; without one, that of the configuration's file."""
    steps: Positive = 20_000_000
    """Budget in environment steps, summed over tasks."""
    expected_minutes: PositiveFloat | None = None
    """What a seed of this configuration takes where it was written; a line says so if it will be three times that."""
    env: EnvConfig = EnvConfig()
    """Environments."""
    agent: AgentConfig = AgentConfig()
    """Networks and losses."""
    training: TrainingConfig = TrainingConfig()
    """Schedule."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Final evaluation."""

    # With a falling learning rate the longer run is another run, though.
    may_differ = RunConfig.may_differ | {
        "steps",
        "expected_minutes",
        "training.seeds_at_once",
        "training.checkpoint_every_minutes",
    }
    kept_by_auto = frozenset({"training.precision"})

    @model_validator(mode="after")
    def _meta_worlds_horizons(self) -> Self:
        """Horizons that are not given: Meta-World's are the recipe's and the benchmark's; it steps no further."""
        try:
            metaworld = envs.are_metaworld(envs.task_names(self.env.tasks))
        except (ValueError, ModuleNotFoundError):
            return self  # told where the environments are made
        if not metaworld:
            return self
        for name, usual in (("env", 200), ("evaluation", envs.MAX_HORIZON)):
            section = getattr(self, name)
            if section.horizon is None:
                object.__setattr__(self, name, section.model_copy(update={"horizon": usual}))
            elif section.horizon > envs.MAX_HORIZON:
                raise ValueError(
                    f"{name}.horizon must be at most {envs.MAX_HORIZON} in Meta-World, got {section.horizon}"
                )
        return self

    @model_validator(mode="after")
    def _single_task_agents_can(self) -> Self:
        kind = self.agent.single_task
        if different := differences(self, SINGLE_TASK[kind]):
            raise ValueError(f"with agent.single_task={kind} {'; '.join(different)}")
        return self

    @model_validator(mode="after")
    def _a_step_fits_into_the_replay(self) -> Self:
        capacity, rows = self.training.replay_capacity_per_task, self.env.num_envs_per_task
        if capacity < rows:
            rule = f"training.replay_capacity_per_task must be at least env.num_envs_per_task={rows}"
            raise ValueError(f"{rule}, got {capacity}")
        return self

    @model_validator(mode="after")
    def _old_settings_for_the_old_protocol(self) -> Self:
        if self.evaluation.protocol == LEGACY and (different := legacy_differences(self)):
            raise ValueError(f"with evaluation.protocol=legacy {'; '.join(different)}")
        return self
