"""Trials as tasks of Ray, on a cluster that is there or on one that is begun on this machine."""

import contextlib
import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtrl.cores import available_cores
from mtrl.runs.errors import UserError
from mtrl.sweep.engine import Ended, How, Order, Work

_STORE_BYTES = 100 << 20  # of shared memory: results are a line each
_REACHED_S = 10.0
_LOOK_S = 5.0  # how often the cluster is asked for its size


class RayEngine:
    """Core tasks of Ray; a task that is lost is not repeated by Ray but handed back as `How.DIED`.

    Args:
        work: what a task does.
        address: of the cluster, `auto` or `HOST:PORT`; None for one of this machine that ends with this process.
        cpus: of a trial.
        gpus: of a trial.
        memory: of a trial in bytes, 0 if it is not known.
        at_once: trials, at most; None for as many as the cluster holds.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        UserError: there is no such cluster.
    """

    def __init__(
        self, work: Work, address: str | None, cpus: int, gpus: float, memory: int, at_once: int | None
    ) -> None:
        import ray  # an optional extra
        import ray.exceptions

        self._ray: Any = ray
        self._address, self._at_once = address, at_once
        self._needs = {"CPU": float(cpus), "GPU": gpus, "memory": float(memory)}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_worker_niceness", "0")  # of workers that it starts: 15 would lose to all else
        _check_reachable(address)
        here: dict[str, Any] = {"num_cpus": available_cores(), "object_store_memory": _STORE_BYTES}
        try:
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level="ERROR",
                **({} if address else here),
            )
        except Exception as error:  # a bare one where a node does not start within 30 s
            what = f"there is no Ray cluster at {address}" if address else "Ray could not be started on this machine"
            raise UserError(f"{what}: {str(error).splitlines()[0]}") from error
        # A process with a GPU serves one trial: its memory is free then.
        wanted = {"num_cpus": cpus, "num_gpus": gpus or None, "memory": memory or None, "max_calls": 1 if gpus else 0}
        self._task, self._work = ray.remote(max_retries=0, **wanted)(_told_where), work
        self._running: dict[Any, Order] = {}
        self._looked, self._capacity = -_LOOK_S, 0
        self._searched = 0.0

    def describe(self) -> str:
        """See `Engine`."""
        nodes = len(_alive(self._ray))
        where = f"a Ray cluster of {nodes} node{'s' if nodes > 1 else ''}" if self._address else "Ray on this machine"
        return f"{where}, {self._fitting()} at once"

    def room(self) -> int:
        """Orders that can be submitted now: what fits, and as much again.

        No node waits for this process, and a cluster that can grow sees what is wanted.
        """
        most = 2 * max(1, self._fitting())
        return min(most, self._at_once or most) - len(self._running)

    def submit(self, order: Order) -> None:
        """See `Engine`."""
        _place(order).unlink(missing_ok=True)  # of an attempt before this one
        sent = replace(order, trial=order.trial.for_any_process())
        self._running[self._task.remote(self._work, sent)] = order

    def wait(self, timeout_s: float) -> list[tuple[Order, Ended]]:
        """See `Engine`."""
        if not self._running:
            time.sleep(timeout_s)
            return []
        ready, _ = self._ray.wait([*self._running], num_returns=1, timeout=timeout_s)
        more, _ = self._ray.wait([*self._running], num_returns=len(self._running), timeout=0)
        ended = [(self._running.pop(task), self._end(task)) for task in dict.fromkeys([*ready, *more])]
        return ended + self._on_lost_nodes()

    def stop(self) -> None:
        """See `Engine`: a task that runs sees Ctrl-C, and writes its checkpoint."""
        for task in self._running:
            self._ray.cancel(task, force=False)

    def close(self) -> None:
        """See `Engine`."""
        self._ray.shutdown()

    def _end(self, task: Any) -> Ended:
        errors = self._ray.exceptions
        try:
            ended: Ended = self._ray.get(task)
        except errors.TaskCancelledError:
            return Ended(How.INTERRUPTED)
        except errors.RayTaskError as error:  # it could not even be begun there
            return Ended(How.FAILED, str(error).strip().splitlines()[-1][:500], str(error))
        except errors.RayError as error:
            return Ended(How.DIED, _line(error))
        return ended

    def _on_lost_nodes(self) -> list[tuple[Order, Ended]]:
        """What runs on nodes that the cluster has given up: Ray waits for their workers as long as these may live."""
        if time.monotonic() - self._searched < _LOOK_S:
            return []
        self._searched = time.monotonic()
        lost = {node["NodeID"] for node in self._ray.nodes() if not node["Alive"]}
        tasks = [task for task, order in self._running.items() if lost and _node(order) in lost]
        return [(self._running.pop(task), Ended(How.DIED, "its machine is lost")) for task in tasks]

    def _fitting(self) -> int:
        """Trials that the nodes hold at once."""
        if time.monotonic() - self._looked >= _LOOK_S:
            self._looked = time.monotonic()
            self._capacity = sum(self._on_node(node["Resources"]) for node in _alive(self._ray))
        return min(self._capacity, self._at_once or self._capacity)

    def _on_node(self, has: dict[str, float]) -> int:
        return min(int(has.get(name, 0.0) / needed + 1e-9) for name, needed in self._needs.items() if needed)


def _check_reachable(address: str | None) -> None:
    """Refuses an address where nobody answers: Ray would try for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isdecimal():
        return  # `auto`: Ray looks for it
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED_S).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"there is no Ray cluster at {address}: {error}") from error


def _told_where(work: Work, order: Order) -> Ended:
    """The work of a task, which first writes the node that it is on beside the sweep's runs."""
    import ray

    with contextlib.suppress(OSError):  # a full disk: the work says so
        _place(order).parent.mkdir(exist_ok=True)
        _place(order).write_text(ray.get_runtime_context().get_node_id())
    return work(order)


def _node(order: Order) -> str:
    """The node that an order is carried out on; empty until that is known."""
    with contextlib.suppress(OSError):
        return _place(order).read_text()
    return ""


def _place(order: Order) -> Path:
    config = order.trial.config  # whose first seed is in no other of its trials: all would be too long a name
    return order.root / "nodes" / f"{config.name}.seed_{config.seeds[0]}"


def _alive(ray: Any) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _line(error: Exception) -> str:
    """The first line, without what Ray says to its own users."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else 'its process or its machine is lost'}"[:300]
