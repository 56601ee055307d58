#!/bin/bash
# The manifest as a SLURM job: needs no GPU and no internet.
#
#     sbatch manifest.sh /shared/run-1
#
# Options after the workspace are passed to cf-build-manifest.
#SBATCH --job-name=cf-build-manifest
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=12:00:00
#SBATCH --output=cf-build-manifest.log
set -euo pipefail

workspace=$1
shift

cf-build-manifest --workspace "$workspace" "$@"
