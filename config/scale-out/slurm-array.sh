#!/usr/bin/env bash
# The tasks of a plan as an array job of Slurm:
#
#   PLAN=plan.json sbatch --array=0-24 config/scale-out/slurm-array.sh
#
#   PLAN      the plan, on a file system that all nodes share
#   ELEMENTS  number of elements of the array, where that is less than the number of tasks: then each runs several of them.
#             Not set: element N runs task N.
#
#SBATCH --job-name=flowlake
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=flowlake-%A_%a.log
set -euo pipefail

plan=${PLAN:?is to name the plan}
element=${SLURM_ARRAY_TASK_ID:?is set by sbatch --array}
options=(--plan "$plan" --jobs "${SLURM_CPUS_PER_TASK:-2}" --memory-limit 512MiB --progress none)

if [[ -z ${ELEMENTS-} ]]; then
    exec flowlake task "${options[@]}" --index "$element"
fi

if ((element >= ELEMENTS)); then
    echo "error: this is element $element, and ELEMENTS says that there are $ELEMENTS" >&2
    exit 2
fi
code=0
missing=$(flowlake task --plan "$plan" --missing)
for index in $missing; do
    ((index % ELEMENTS == element)) || continue
    # One task that fails is no reason not to do the others.
    flowlake task "${options[@]}" --index "$index" || code=$?
done
exit "$code"
