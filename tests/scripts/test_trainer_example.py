"""The Trainer example takes the steps of a plainly written Jacobian, on one process and on two."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mtrl.aggregation import MGDA, PCGrad
from tests.oracles.plain_step import plain_step
from tests.ranks import run

pytest.importorskip("accelerate")
transformers = pytest.importorskip("transformers")

from scripts.trainer_example import MultiTaskTrainer, Sentences, TwoTasks  # noqa: E402

ROWS, LONGEST = 32, 0.5


class InOrder(MultiTaskTrainer):
    """Takes the rows in their order."""

    def _get_train_sampler(self, dataset=None):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def model_of() -> TwoTasks:
    torch.manual_seed(0)
    return TwoTasks(MGDA()).double()


def trainer_of(model: nn.Module, folder: Path, rows: int, **options: object) -> MultiTaskTrainer:
    options = {"optim": "sgd", "learning_rate": 1.0, "lr_scheduler_type": "constant", "max_steps": 1} | options
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        disable_tqdm=True,
        logging_steps=1,
        remove_unused_columns=False,
        report_to="none",
        **options,
    )
    return InOrder(model, arguments, train_dataset=Sentences(rows))


def step(folder: Path, batch: int, parts: int) -> dict[str, object]:
    """What one step of SGD at rate 1 takes off the parameters, and what is logged of it."""
    model = model_of()
    before = [p.detach().clone() for p in model.parameters()]
    sizes = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": parts, "max_grad_norm": LONGEST}
    trainer = trainer_of(model, folder, ROWS, save_strategy="no", **sizes)
    trainer.train()
    log = trainer.state.log_history[0]
    step = [a - b.detach() for a, b in zip(before, model.parameters(), strict=True)]
    return {"step": step, "loss": float(log["loss"]), "norm": float(log["grad_norm"])}


def expected(parts: int) -> dict[str, object]:
    """The same of a Jacobian; trunk and heads are clipped together, as the Trainer does."""
    model = model_of()
    rows = [Sentences(ROWS)[i] for i in range(ROWS)]
    losses = []
    for part in range(parts):
        batch = rows[part * ROWS // parts : (part + 1) * ROWS // parts]
        outputs = model(**{name: torch.stack([row[name] for row in batch]) for name in rows[0]})
        losses.append(torch.stack([outputs["first"], outputs["count"]]) / parts)
    trunk, heads = plain_step(losses, MGDA(), [*model.trunk.parameters()], [*model.heads.parameters()])
    gradients = [*trunk, *heads]
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    assert norm > LONGEST, "there is something to clip"
    loss = torch.stack([part.mean() for part in losses]).sum()
    return {"step": [g * LONGEST / norm for g in gradients], "loss": loss.item(), "norm": norm.item()}


def check(ours: dict[str, object], theirs: dict[str, object]) -> None:
    assert_close(ours["step"], theirs["step"], rtol=1e-5, atol=1e-8)
    assert_close([ours["loss"], ours["norm"]], [theirs["loss"], theirs["norm"]], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("parts", [1, 2])
def test_it_takes_the_step_of_a_jacobian(parts: int, tmp_path: Path) -> None:
    check(step(tmp_path, ROWS // parts, parts), expected(parts))


def of_rank(folder: Path, number: int) -> dict[str, object]:
    """Each part of the batch is half as large, and a rank gets every second; the Trainer wraps the model."""
    return {str(parts): step(folder / str(number), ROWS // parts // 2, parts) for parts in (1, 2)}


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_ranks_take_the_step_of_one(tmp_path: Path) -> None:
    for results in run(partial(of_rank, tmp_path / "trained"), tmp_path):
        for parts in (1, 2):
            check(results[str(parts)], expected(parts))


def test_it_trains_and_resumes_the_method(tmp_path: Path) -> None:
    def trainer(steps: int) -> MultiTaskTrainer:
        torch.manual_seed(0)
        options = {"optim": "adamw_torch", "learning_rate": 3e-3, "max_steps": steps, "save_steps": 20}
        return trainer_of(TwoTasks(PCGrad()), tmp_path, 64, per_device_train_batch_size=32, **options)

    first = trainer(20)
    first.train()
    losses = [float(log["loss"]) for log in first.state.log_history if "loss" in log]
    assert losses[-1] < losses[0] / 2
    assert first.model.method.step == 20

    second = trainer(30)
    second.train(resume_from_checkpoint=True)
    assert second.model.method.step == 30
    whole = trainer(30)
    whole.train()
    for ours, theirs in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert_close(ours, theirs)
