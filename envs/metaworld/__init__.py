"""The exact backend: metaworld, bit for bit, in worker processes over shared memory.

backend.py        what `mtrl.envs.workers` is told to simulate
specification.py  what a worker process is told
worker.py         what runs inside it
simulators.py     the environments of one task that a worker steps
stock.py          metaworld's environment of a task
drawn.py          what its model holds for drawing alone, given back
episode_start.py  a reset, kept
light_env.py      an environment whose step does only what decides its outcome
rescoped.py       metaworld's own functions, with cheaper helpers in scope
small_math.py     those helpers: norms, tolerances, quaternions
named.py          bodies and sites by name, looked up once
"""
