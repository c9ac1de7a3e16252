"""The Lightning example trains, and its checkpoint holds the method's state."""

import pytest
import torch

from mtrl.aggregation import PCGrad

lightning = pytest.importorskip("lightning")


@pytest.mark.filterwarnings("ignore")
def test_it_trains_and_checkpoints_the_method(tmp_path):
    from scripts.lightning_example import TwoTasks, data

    lightning.seed_everything(0)
    options = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "default_root_dir": tmp_path}
    trainer = lightning.Trainer(max_epochs=8, **options)
    method = PCGrad()  # one with a state
    model, loader = TwoTasks(method), data(1024)
    before = model.losses(next(iter(loader)))
    trainer.fit(model, loader)
    after = model.losses(next(iter(loader)))
    assert (after < before / 3).all(), f"{before.tolist()} -> {after.tolist()}"

    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    other = PCGrad()
    resumed = TwoTasks(other)
    resumed.load_state_dict(torch.load(tmp_path / "saved.ckpt", weights_only=True)["state_dict"])
    assert other.step == method.step == trainer.global_step
