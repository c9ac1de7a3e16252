"""Registered Gymnasium environments as tasks, in worker processes.

registry.py    which names Gymnasium knows, and whether they fit together
backend.py     what `mtrl.envs.workers` is told to simulate
worker.py      what runs inside a worker process
point_goal.py  four small analytic tasks of our own, registered
"""
