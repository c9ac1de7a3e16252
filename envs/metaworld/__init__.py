"""The exact backend: metaworld, bit for bit, in worker processes over shared memory.

backend.py     what `mtrl.envs.workers` is told to simulate
worker.py      what runs inside a worker process
simulators.py  the environments that it steps together
internals/     metaworld's environments, made fast
rendering.py   pictures of stock metaworld; graphics.py: from where, and what draws
"""
