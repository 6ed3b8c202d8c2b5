#!/bin/sh
# A step of a planned build, for schedulers of containers. In the image it is `flowlake-step`:
#
#   flowlake-step tasks [OPTION]...   what this element of an array has to do; options go to `flowlake task`
#   flowlake-step commit              the commit
#
#   PLAN      the plan: a file, or s3://BUCKET/KEY, which `aws` fetches first
#   ELEMENTS  number of elements of the array, where that is less than the number of tasks: then each runs several of them.
#             Not set: element N runs task N.
#
# The number of the element comes from Kubernetes (JOB_COMPLETION_INDEX) or AWS Batch (AWS_BATCH_JOB_ARRAY_INDEX).
set -eu

plan=${PLAN:?is to name the plan}
step=${1:?is to be tasks or commit}
shift

case $plan in
s3://*)
    fetched=${TMPDIR:-/tmp}/plan.json
    # Progress goes to standard output, where the line of a task is expected.
    aws s3 cp --only-show-errors "$plan" "$fetched" >&2
    plan=$fetched
    ;;
esac

case $step in
commit) exec flowlake commit --plan "$plan" "$@" ;;
tasks) ;;
*)
    echo "error: no such step: $step (tasks or commit)" >&2
    exit 2
    ;;
esac

element=${JOB_COMPLETION_INDEX:-${AWS_BATCH_JOB_ARRAY_INDEX:-}}
if [ -z "$element" ]; then
    echo "error: neither JOB_COMPLETION_INDEX nor AWS_BATCH_JOB_ARRAY_INDEX says which element this is" >&2
    exit 2
fi

if [ -z "${ELEMENTS:-}" ]; then
    exec flowlake task --plan "$plan" --index "$element" "$@"
fi

if [ "$element" -ge "$ELEMENTS" ]; then
    echo "error: this is element $element, and ELEMENTS says that there are $ELEMENTS" >&2
    exit 2
fi
# A shell that waits for a program in the foreground would hear of its end too late.
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null || :; wait || :; exit 130' TERM INT
code=0
missing=$(flowlake task --plan "$plan" --missing)
for index in $missing; do
    [ $((index % ELEMENTS)) -eq "$element" ] || continue
    flowlake task --plan "$plan" --index "$index" "$@" &
    child=$!
    # One task that fails is no reason not to do the others.
    wait "$child" || code=$?
done
exit "$code"
