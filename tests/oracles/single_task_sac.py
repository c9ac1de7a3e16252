"""Soft actor-critic on one task, written plainly with torch.nn and autograd: what `T = 1` must reduce to.

Haarnoja et al. 2018b: twin critics, minimum of the targets, a learned temperature. Only the first parameters come from
outside; everything else is written again here.
"""

import copy
import itertools

import torch
from torch import Tensor, nn
from torch.distributions import Normal

GAMMA, TAU, LR, TARGET_ENTROPY, LOG_STD = 0.99, 0.005, 3e-4, -2.0, (-10.0, 2.0)


def mlp(sizes: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class SingleTaskSAC:
    def __init__(self, actor: nn.Sequential, critics: list[nn.Sequential], alpha: float) -> None:
        self.actor, self.critics = actor, critics
        self.targets = [copy.deepcopy(critic) for critic in critics]
        self.log_alpha = nn.Parameter(torch.tensor(alpha, dtype=torch.float32).log())
        critic_parameters = [p for critic in critics for p in critic.parameters()]
        self.critic_optimizer = torch.optim.Adam(critic_parameters, LR)
        self.actor_optimizer = torch.optim.Adam(actor.parameters(), LR)
        self.alpha_optimizer = torch.optim.Adam([self.log_alpha], LR, betas=(0.5, 0.999))

    def policy(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.actor(observation).chunk(2, -1)
        log_std = LOG_STD[0] + 0.5 * (LOG_STD[1] - LOG_STD[0]) * (raw.tanh() + 1)
        before = mean + log_std.exp() * noise
        action = before.tanh()
        log_density = Normal(mean, log_std.exp()).log_prob(before) - torch.log(1 - action**2)
        return action, log_density.sum(-1)

    def update(self, o: Tensor, a: Tensor, r: Tensor, o2: Tensor, terminated: Tensor, noises: list[Tensor]) -> None:
        alpha = self.log_alpha.detach().exp()
        with torch.no_grad():
            a2, log_density = self.policy(o2, noises[0])
            q2 = torch.min(*[t(torch.cat([o2, a2], -1)).squeeze(-1) for t in self.targets])
            target = r + GAMMA * (1 - terminated) * (q2 - alpha * log_density)
        loss = sum(((c(torch.cat([o, a], -1)).squeeze(-1) - target) ** 2).mean() for c in self.critics)
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()

        new, log_density = self.policy(o, noises[1])
        q = torch.min(*[c(torch.cat([o, new], -1)).squeeze(-1) for c in self.critics])
        self.actor_optimizer.zero_grad()
        (alpha * log_density - q).mean().backward()
        self.actor_optimizer.step()

        self.alpha_optimizer.zero_grad()
        (-self.log_alpha * (log_density.detach() + TARGET_ENTROPY).mean()).backward()
        self.alpha_optimizer.step()
        for target_net, critic in zip(self.targets, self.critics, strict=True):
            for p, q_ in zip(target_net.parameters(), critic.parameters(), strict=True):
                p.data += TAU * (q_.data - p.data)
