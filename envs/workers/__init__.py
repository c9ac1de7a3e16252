"""Environments in worker processes over shared memory, whatever they simulate.

vector_env.py  the vector environment, in the caller's process
plan.py        what a backend tells it
assignment.py  which environments go to which worker
process.py     one worker process as its parent sees it
lifeline.py    what ends a worker with its parent
serving.py     the frame of what runs inside it
protocol.py    what the two share: memory and commands
"""
