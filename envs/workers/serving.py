"""The frame of what runs inside a worker process.

It ends when the channel does, that is when its parent closes it; when the parent dies, `lifeline` ends it sooner.
"""

import gc
import json
import socket
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from mtrl.envs.workers import commands, rows
from mtrl.envs.workers.line import Line

Obey = Callable[[bytes], None]
"""Carries out one command on the rows."""


def serve(specification: str, build: Callable[[dict[str, Any], np.ndarray], Obey]) -> None:
    """Serve the parent that wrote this specification.

    Args:
        specification: JSON, written by `process.Worker`.
        build: makes the simulators of a specification on the table of rows.
    """
    spec = json.loads(specification)
    with socket.socket(fileno=spec["channel"]) as channel:
        try:
            table = rows.attach(spec["memory"], spec["count"], rows.row(spec["observation_size"], spec["action_size"]))
            obey = build(spec, table)
            gc.freeze()  # what is there now stays: no collection needs to look at it
            line = Line(channel, table["finished"], spec["rows"][0])
            while command := line.answer(commands.DONE):
                obey(command)
        except (BrokenPipeError, ConnectionResetError):
            pass  # nobody is left to serve
        except Exception:
            channel.sendall(commands.FAILED + traceback.format_exc().encode())
