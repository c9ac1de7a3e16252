"""Nash-MTL in Hugging Face's `Trainer`: a `training_step` that calls `backward`.

    python -m scripts.trainer_example

Two questions about sentences of a small encoder: which word is first, and how often it comes. Under `torchrun` the
same program trains on several processes. Needs `pip install accelerate transformers`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel, Trainer, TrainingArguments

from mtrl import backward
from mtrl.aggregation import Method, NashMTL
from mtrl.distributed import RankAverage

WORDS, LENGTH = 12, 8


class TwoTasks(nn.Module):
    """A small BERT with two heads.

    Args:
        method: an attribute of the model, so that its state goes into the checkpoints.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        config = BertConfig(
            vocab_size=WORDS,
            max_position_embeddings=LENGTH,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            hidden_dropout_prob=0,
            attention_probs_dropout_prob=0,
        )
        self.trunk = BertModel(config)
        self.heads = nn.ModuleDict({"first": nn.Linear(32, WORDS), "count": nn.Linear(32, 1)})
        self.method = method

    def forward(self, input_ids: Tensor, first: Tensor, count: Tensor) -> dict[str, Tensor]:
        z = self.trunk(input_ids).pooler_output
        losses = {
            "first": functional.cross_entropy(self.heads["first"](z), first),
            "count": functional.mse_loss(self.heads["count"](z).squeeze(-1), count),
        }
        return {"loss": torch.stack([*losses.values()]).mean(), **losses}  # the loss is for evaluation


class MultiTaskTrainer(Trainer):
    """Fills `.grad` by `backward`; clipping, scheduling, logging and checkpoints stay the Trainer's."""

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        model.train()
        with self.compute_loss_context_manager():
            outputs = model(**self._prepare_inputs(inputs))
        bare = self.accelerator.unwrap_model(model)
        losses = torch.stack([outputs[task] for task in bare.heads])
        losses = losses / self.current_gradient_accumulation_steps  # the Trainer adds up what its parts return
        backward(
            losses,
            bare.method,
            shared=bare.trunk,
            heads=bare.heads,
            scale="mean",  # an update as long as the mean's: learning rate and max_grad_norm mean what they did
            scaler=self.accelerator.scaler,  # None but for fp16
            average=RankAverage() if self.args.world_size > 1 else None,
        )
        return losses.detach().mean()


class Sentences(torch.utils.data.Dataset):
    """Words, the first of them, and how often it comes."""

    def __init__(self, size: int) -> None:
        self.words = torch.randint(0, WORDS, (size, LENGTH), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        words = self.words[i]
        return {"input_ids": words, "first": words[0], "count": (words == words[0]).sum().float()}


def main() -> None:
    """Train for ten epochs."""
    arguments = TrainingArguments(
        output_dir="trainer_example",
        per_device_train_batch_size=32,
        gradient_accumulation_steps=2,
        num_train_epochs=10,
        learning_rate=3e-3,
        remove_unused_columns=False,
        report_to="none",
    )
    torch.manual_seed(0)
    MultiTaskTrainer(TwoTasks(NashMTL()), arguments, train_dataset=Sentences(2048)).train()


if __name__ == "__main__":
    main()
