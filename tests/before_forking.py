"""What ranks need and takes long to import: their server does so once, and forks them then."""

import gc

import pytest  # noqa: F401
import torch._dynamo
import torch.distributed  # noqa: F401

import mtrl.agents  # noqa: F401

gc.freeze()  # they share what is there, and do not look through it
