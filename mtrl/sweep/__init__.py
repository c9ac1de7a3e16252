"""Many runs of one file: trials, on the processes of this machine or on a cluster; the run folders are the truth."""

from mtrl.sweep.driving import Result, drive
from mtrl.sweep.engine import Ended, Engine, How, Order
from mtrl.sweep.file import Resources, SweepFile, read_sweep
from mtrl.sweep.trials import Trial, trials

__all__ = [
    "Ended",
    "Engine",
    "How",
    "Order",
    "Resources",
    "Result",
    "SweepFile",
    "Trial",
    "drive",
    "read_sweep",
    "trials",
]
