"""Multi-task soft actor-critic: networks, losses, replay, the update, the training loop, evaluation, checkpoints."""

from mtrl.agents.config import Config
from mtrl.agents.evaluation import EvaluationResult, evaluate_policy
from mtrl.agents.final_evaluation import evaluate
from mtrl.agents.learner import Learner
from mtrl.agents.model import MultiTaskSAC
from mtrl.agents.recording import Recording, record_episodes
from mtrl.agents.training import TrainResult, train
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
