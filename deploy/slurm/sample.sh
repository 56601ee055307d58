#!/bin/bash
# Sampling as a SLURM job array: one shard, and one GPU, for each task.
#
#     sbatch --array=1-16 sample.sh /shared/run-1
#
# At its time limit a task goes back into the queue and continues. Submit the array again for what failed, also with
# another number of tasks. Where the nodes have no internet, see docs/offline.md. Options after the workspace are passed
# to cf-sample: with --fail-above 5%, a task ends well unless more of its generators failed.
#SBATCH --job-name=cf-sample
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=cf-sample-%a.log
set -euo pipefail

workspace=$1
shift
# A local disk of the node: all jobs of this user on the node share what they download there.
weights=${CF_WEIGHTS_DIR:-${TMPDIR:-/tmp}/cf-weights-$USER}

# SLURM sends it two minutes before the time limit: cf-sample stops in order, with exit code 75 where work is left.
# The trap is set first: a signal that came before it would end this script alone.
trap 'kill -TERM $(jobs -p) || true' TERM
cf-sample --workspace "$workspace" --weights-dir "$weights" --shard auto "$@" &
sampling=$!
while kill -0 "$sampling" 2>/dev/null; do # the trap ends a `wait`
    wait "$sampling" || true
done
code=0
wait "$sampling" || code=$?
# 143: the signal came in its first moments, before it could stop in order.
if [ "$code" -eq 75 ] || [ "$code" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
