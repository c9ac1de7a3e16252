"""Configuration of the networks."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from mtrl.agents.networks import own_trunk
from mtrl.runs.section import Few, Section, Width

Ours = Literal["mlp", "residual", "simba", "soft_modular", "care", "paco", "moore"]
"""The kinds that are in this package."""
_NUM_EXPERTS = {"soft_modular": 2, "care": 6, "paco": 5, "moore": 4}
_ENCODER_WIDTH = {"soft_modular": 400, "care": 50}


def _as_kind(value: Any) -> Any:
    """A word that is neither one of ours, nor a path, nor registered, is told what there is."""
    if value in get_args(Ours) or (isinstance(value, str) and ":" in value):
        return value
    if value not in (registered := own_trunk.names()):
        *most, last = map(repr, [*get_args(Ours), *registered])
        raise PydanticCustomError("network", "Input should be {names}", {"names": f"{', '.join(most)} or {last}"})
    return value


Kind = Annotated[Ours | str, BeforeValidator(_as_kind)]


class NetworkConfig(Section):
    """A trunk that tasks share."""

    kind: Kind = "residual"
    """`mlp`: linear layers and ReLU. `residual`: blocks with a LayerNorm after each layer (BroNet, Nauman et al. 2024).
    `simba`: blocks with a LayerNorm before them (Lee et al. 2024). The others know the task whatever
    `agent.conditioning` says: `soft_modular` (Yang et al. 2020), `care` (Sodhani et al. 2021, without metadata), `paco`
    (Sun et al. 2022), `moore` (Hendawy et al. 2024). One of your own is `package.module:Class`, or what an installed
    package registers."""
    width: Width = 256
    """Units of each hidden layer; of each module of `soft_modular`."""
    depth: Few = 1
    """Hidden layers, in `soft_modular` layers of modules, in `moore` layers of each expert; in `residual` and `simba`
    blocks of two layers each."""
    num_experts: Few | None = None
    """Modules of each layer of `soft_modular` (null: 2), encoders of `care` (6), parameter sets of `paco` (5), experts
    of `moore` (4); other kinds have none, if they are not your own."""
    encoder_width: Width | None = None
    """Features of observation and task that route `soft_modular` (null: 400); layers of `care`'s encoders (50); other
    kinds have none, if they are not your own."""

    @model_validator(mode="after")
    def _fits_the_kind(self) -> Self:
        if not self.is_ours:
            own_trunk.check_sizes(self.kind, self.optional)
            return self
        for name, published in (("num_experts", _NUM_EXPERTS), ("encoder_width", _ENCODER_WIDTH)):
            value = getattr(self, name)
            if value is not None and self.kind not in published:
                raise ValueError(f"{name} is for {', '.join(published)}; {self.kind} has none, got {name}={value}")
        if self.kind == "moore" and self.experts > self.width:
            raise ValueError(
                f"moore needs num_experts <= width to make them orthogonal, got {self.experts} > {self.width}"
            )
        return self

    @property
    def is_ours(self) -> bool:
        """Whether it is a kind of this package."""
        return self.kind in get_args(Ours)

    @property
    def optional(self) -> dict[str, int | None]:
        """The sizes that not every kind has, as they were given."""
        return {name: getattr(self, name) for name in own_trunk.OPTIONAL}

    @property
    def experts(self) -> int:
        """`num_experts`, or the published number for MT10."""
        return self.num_experts or _NUM_EXPERTS[self.kind]

    @property
    def encoder_size(self) -> int:
        """`encoder_width`, or the published one."""
        return self.encoder_width or _ENCODER_WIDTH[self.kind]


class ConditioningConfig(Section):
    """How the networks know the task: by parameters of its own, which take its plain gradient."""

    encoding: Literal["none", "one_hot", "embedding", "film"] = "embedding"
    """`one_hot`: as if the task's one-hot vector were joined to the networks' input (`env.one_hot` joins it to the
    observation, and its weights are shared ones then). `embedding`: a learned vector is (BRC, Nauman et al. 2025).
    `film`: a learned scale and shift of every hidden unit (Perez et al. 2018). `none`: with a shared head, and a trunk
    that does not know the task either, the network is blind to it."""
    embedding_size: Width = 32
    """Size of the vector of `embedding`; nothing else reads it."""
    heads: bool = True
    """A linear head of its own for each task; otherwise one for all."""
