#!/usr/bin/env bash
# Takes whatif's stacks away:
#
#   infra/destroy.sh [--storage] [Prefix=NAME]
#
# The stack `storage` stays, with buckets, key and Glue database, so that deploy.sh finds the data again. --storage takes
# that stack away too: buckets, key and database stay even then, and infra/README.md says how to empty them.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=infra/stacks.sh
. ./stacks.sh

PREFIX=whatif
STORAGE=no
for argument in "$@"; do
  case "$argument" in
    --storage) STORAGE=yes ;;
    Prefix=*) PREFIX="${argument#*=}" ;;
    *) die "$argument is neither --storage nor Prefix=NAME" ;;
  esac
done

# remove STACK: if it is there
remove() {
  if ! exists "$1"; then return 0; fi
  say "== $PREFIX-$1"
  aws cloudformation delete-stack --stack-name "$PREFIX-$1"
  aws cloudformation wait stack-delete-complete --stack-name "$PREFIX-$1"
}

# an application can be deleted only when it is stopped, and is not stopped while jobs go on
stop_application() {
  local id state
  if ! exists compute; then return 0; fi
  id="$(output compute ApplicationId)"
  while :; do
    state="$(aws emr-serverless get-application --application-id "$id" --query application.state --output text)"
    case "$state" in
      CREATED | STOPPED | TERMINATED) return 0 ;;
      STARTED) aws emr-serverless stop-application --application-id "$id" \
        || die "the application has jobs: wait for them, or whatif cancel them" ;;
    esac
    sleep 5
  done
}

reversed=""
for stack in $STACKS; do reversed="$stack $reversed"; done

stop_application
for stack in tables mlflow $reversed; do
  if [ "$stack" != storage ]; then remove "$stack"; fi
done

if [ "$STORAGE" = yes ] && exists storage; then
  buckets="$(output storage DataBucket) $(output storage ArtifactBucket) $(output storage LogBucket)"
  aws cloudformation update-termination-protection --stack-name "$PREFIX-storage" \
    --no-enable-termination-protection >/dev/null
  remove storage
  say "kept: buckets $buckets, the key that their objects need, and the Glue database"
else
  say "kept: the stack $PREFIX-storage; --storage takes it away too"
fi
