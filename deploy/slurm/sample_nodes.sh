#!/bin/bash
# Sampling on whole nodes as one SLURM job: on each node one cf-sample, with a process for each of its GPUs.
#
#     sbatch --nodes=16 sample_nodes.sh /shared/run-1
#
# The processes of a node share downloads, prompts and memory; those of all nodes help each other at the end. Two minutes
# before the time limit SLURM sends USR1 to each cf-sample, which stops in order with exit code 75: then the job goes
# back into the queue and continues. Options after the workspace are passed to cf-sample.
#SBATCH --job-name=cf-sample
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=64
#SBATCH --mem=0
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=cf-sample-nodes.log
set -euo pipefail

workspace=$1
shift
# A local disk of each node.
weights=${CF_WEIGHTS_DIR:-${TMPDIR:-/tmp}/cf-weights-$USER}

code=0
# Without --kill-on-bad-exit: a node that fails does not end the others.
srun --ntasks-per-node=1 --kill-on-bad-exit=0 --label \
    cf-sample --workspace "$workspace" --weights-dir "$weights" --shard auto --devices all "$@" || code=$?
# 143: the signal came in the first moments of a node, before it could stop in order.
if [ "$code" -eq 75 ] || [ "$code" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
