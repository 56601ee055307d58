#!/bin/bash
# Captioning, sampling and the manifest, each when the one before has succeeded. Run it on the login node after cf-crawl:
#
#     deploy/slurm/chain.sh /shared/run-1 --source coco=/data/coco
#
# Options after the workspace are passed to cf-caption. Numbers of tasks, and what else differs, are variables:
#
#     CF_CAPTION_TASKS=4 CF_SAMPLE_TASKS=128 CF_SAMPLE_OPTIONS="--images 400" CF_FAIL_ABOVE=5% deploy/slurm/chain.sh ...
#
# A job that goes back into the queue at its time limit has not ended: the next one waits for it. Where a stage fails, or
# more generators than CF_FAIL_ABOVE, the jobs after it are cancelled: mend it and run the same command again; what is
# finished is kept.
set -euo pipefail

workspace=$1
shift
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
caption_tasks=${CF_CAPTION_TASKS:-4}
sample_tasks=${CF_SAMPLE_TASKS:-16}
fail_above=${CF_FAIL_ABOVE:-5%}
read -r -a sample_options <<<"${CF_SAMPLE_OPTIONS:-}"

caption=$(sbatch --parsable --array="1-$caption_tasks" "$scripts/caption.sh" "$workspace" "$@")
caption=${caption%%;*} # with the name of the cluster where there are several
sample=$(sbatch --parsable --array="1-$sample_tasks" --dependency="afterok:$caption" --kill-on-invalid-dep=yes \
    "$scripts/sample.sh" "$workspace" --fail-above "$fail_above" "${sample_options[@]}")
sample=${sample%%;*}
manifest=$(sbatch --parsable --dependency="afterok:$sample" --kill-on-invalid-dep=yes \
    "$scripts/manifest.sh" "$workspace")
echo "captioning: job $caption, sampling: job $sample, manifest: job ${manifest%%;*}"
echo "progress: cf-status --workspace $workspace --watch"
