"""A Ray cluster whose nodes are all on this machine, to kill some of them; a busy machine is waited for."""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

ENVIRONMENT = {
    "RAY_gcs_server_port_wait_time_s": "600",
    "RAY_gcs_server_request_timeout_seconds": "600",
    "RAY_gcs_rpc_server_connect_timeout_s": "600",
    "RAY_py_gcs_connect_timeout_s": "600",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_worker_niceness": "0",
}
"""Before Ray is imported: how long it waits for what begins late, and workers of the priority of other processes."""
_NODE_BEGINS_S = 60.0  # Ray says 30, whatever it is told
_TRIES = 10
_PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


@contextmanager
def local_cluster(settings: Mapping[str, Any]) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` with a head of one core; at the end all its processes are killed.

    Args:
        settings: of Ray.
    """
    os.environ.update(ENVIRONMENT)
    from ray._private import services  # an optional extra
    from ray.cluster_utils import Cluster

    look = services.get_node

    def wait(*node: str) -> Any:
        limit = time.monotonic() + _NODE_BEGINS_S
        while True:
            try:
                return look(*node)
            except RuntimeError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.1)

    with mock.patch.object(services, "get_node", wait):
        cluster = Cluster()
        try:
            begin_node(cluster, _system_config=dict(settings))
            yield cluster
        finally:
            for node in reversed(cluster.list_all_nodes()):
                cluster.remove_node(node, allow_graceful=False)  # a frozen one would not end by itself
            cluster.shutdown()


def begin_node(cluster: Any, **settings: Any) -> Any:
    """A node of one core; begun again where its agents were not there within the 15 s after which Ray ends it."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return cluster.add_node(num_cpus=1, **_free_ports(), **settings)
        except Exception:  # a bare one
            if not tries_left:
                raise
    raise AssertionError


def _free_ports() -> dict[str, int]:
    """Free ports for a node's agents, which it need not wait for then."""
    with ExitStack() as stack:
        sockets = {name: stack.enter_context(socket.socket()) for name in _PORTS}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in sockets.items()}
