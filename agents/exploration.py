"""Exploration noise that may be correlated in time. Axes: `T` tasks, `E` environments, `A` action."""

import torch
from torch import Generator, Tensor

from mtrl.runs.loading import copy_checked


class CorrelatedNoise:
    """A stationary first-order autoregressive process with standard normal marginals.

    A policy sampled with it is, at each step, the same distribution as with white noise, but the hand moves somewhere
    instead of trembling (Eberhard et al. 2023 show the same for power-law noise).

    Args:
        shape: `[T, E, A]`.
        correlation: between one step's noise and the next, in [0, 1); 0 is white noise.
        device: of the noise.
        seed: decides it.
    """

    def __init__(self, shape: tuple[int, int, int], correlation: float, device: torch.device, seed: int) -> None:
        self.correlation = correlation
        self.generator = Generator(device).manual_seed(seed)
        self.current = torch.randn(shape, generator=self.generator, device=device, dtype=torch.float32)

    def next(self) -> Tensor:
        """The next step's noise, `[T, E, A]`."""
        fresh = torch.randn(
            self.current.shape, generator=self.generator, device=self.current.device, dtype=torch.float32
        )
        self.current = self.correlation * self.current + (1 - self.correlation**2) ** 0.5 * fresh
        return self.current

    def next_uniform(self) -> Tensor:
        """The next step's noise with uniform marginals in (-1, 1): random actions for the warm-up."""
        return torch.erf(self.next() / 2**0.5)

    def state_dict(self) -> dict[str, Tensor]:
        """The process and its generator."""
        return {"current": self.current, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state_dict`."""
        copy_checked("exploration noise", [self.current], [state["current"]])
        self.generator.set_state(state["generator"].cpu())
