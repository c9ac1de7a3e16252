#!/usr/bin/env bash
# A sweep on the nodes of a Slurm job, which become one Ray cluster as long as it lasts:
#
#     sbatch --nodes 4 --cpus-per-task 32 --time 24:00:00 scripts/slurm_sweep.sh FILE [options of mtrl sweep]
#
# --out must be on a disk that all nodes share. When the job's time is over, the same command goes on: checkpoints are at
# most five minutes old. The environment that `mtrl` and `ray` are in must be active when the job is submitted.
#SBATCH --job-name=mtrl-sweep
#SBATCH --ntasks-per-node=1
set -euo pipefail

nodes="${SLURM_JOB_NODELIST:?is what Slurm sets in a job: submit this script with sbatch}"
hosts="$(scontrol show hostnames "$nodes")" # no pipe to `head`, which would end scontrol, and so this script, now and then
head="${hosts%%$'\n'*}"
export RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=0
# The same on every node: the first one begins the cluster and then runs the command, the others join. Ray would count all
# cores of a node, the job may have fewer. From Slurm 22.05 on, srun gives a task one core where it is not told the number.
exec srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
  ray symmetric-run --address "$head:${RAY_PORT:-6379}" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus "${SLURM_CPUS_PER_TASK:-1}" --include-dashboard=false -- \
  mtrl sweep "$@" --engine ray --address auto
