"""Multi-task soft actor-critic: networks, losses, replay, the update, the training loop, evaluation, checkpoints."""

from agents.config import Config
from agents.evaluation import EvaluationResult, evaluate_policy
from agents.final_evaluation import evaluate
from agents.recording import Recording, record_episodes
from agents.sac import MultiTaskSAC
from agents.training import TrainResult, train
from mtrl.runs.errors import UserError

__all__ = [
    "Config",
    "EvaluationResult",
    "MultiTaskSAC",
    "Recording",
    "TrainResult",
    "UserError",
    "evaluate",
    "evaluate_policy",
    "record_episodes",
    "train",
]
