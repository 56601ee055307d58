#!/bin/bash
# Captioning as a SLURM job array: a share of the images, and one GPU, for each task.
#
#     sbatch --array=1-4 caption.sh /shared/run-1 --source coco=/data/coco
#
# Options after the workspace are passed to cf-caption; all tasks need the same ones. What is finished is kept: submit the
# same array again after an interruption. At its time limit a task goes back into the queue and continues.
#SBATCH --job-name=cf-caption
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=cf-caption-%a.log
set -euo pipefail

workspace=$1
shift

# The trap is set first: a signal that came before it would end this script alone.
trap 'kill -TERM $(jobs -p) || true' TERM
cf-caption --workspace "$workspace" --shard auto "$@" &
captioning=$!
while kill -0 "$captioning" 2>/dev/null; do # the trap ends a `wait`
    wait "$captioning" || true
done
code=0
wait "$captioning" || code=$?
# 143: the signal came in its first moments, before it could stop in order.
if [ "$code" -eq 75 ] || [ "$code" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
