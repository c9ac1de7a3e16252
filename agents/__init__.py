"""Multi-task soft actor-critic: networks, losses, replay, the update, the training loop, evaluation, checkpoints."""

from agents.config import Config
from agents.evaluation import EvaluationResult, evaluate_policy
from agents.final_evaluation import evaluate
from agents.learner import Learner
from agents.model import MultiTaskSAC
from agents.recording import Recording, record_episodes
from agents.training import TrainResult, train
from mtrl.runs.errors import UserError

__all__ = [
    "Config",
    "EvaluationResult",
    "Learner",
    "MultiTaskSAC",
    "Recording",
    "TrainResult",
    "UserError",
    "evaluate",
    "evaluate_policy",
    "record_episodes",
    "train",
]
