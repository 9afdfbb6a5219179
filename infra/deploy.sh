#!/usr/bin/env bash
# Deploys whatif's stacks, or brings them up to date:
#
#   infra/deploy.sh [--tables] [Parameter=Value ...]
#
# Parameters are those of the templates, such as Prefix=quant AlertEmail=a@b.example Mlflow=yes; one that is left out
# keeps the value that it has. --tables is the second step, once bars were ingested and a study was run: optimizers of
# the tables, and Athena's views.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=infra/stacks.sh
. ./stacks.sh

PREFIX=whatif
DATABASE=whatif
TABLES=no
MLFLOW=no
GIVEN=()
for argument in "$@"; do
  case "$argument" in
    --tables) TABLES=yes ;;
    -*) die "$argument is no option: --tables is the only one" ;;
    *=*)
      name="${argument%%=*}"
      known="$(for file in *.yaml; do parameters "$file"; done | sort -u)"
      grep -qx "$name" <<<"$known" || die "$name is no parameter of any template; there are:" $known
      if [ "$name" != Prefix ]; then GIVEN+=("$argument"); fi
      case "$name" in
        Prefix) PREFIX="${argument#*=}" ;;
        DatabaseName) DATABASE="${argument#*=}" ;;
        Mlflow) MLFLOW="${argument#*=}" ;;
      esac
      ;;
    *) die "$argument is neither --tables nor Parameter=Value" ;;
  esac
done

# deploy STACK: with those of the given parameters that its template has
deploy() {
  local own=() pair names
  names="$(parameters "$1.yaml")"
  for pair in "Prefix=$PREFIX" ${GIVEN[@]+"${GIVEN[@]}"}; do
    if grep -qx "${pair%%=*}" <<<"$names"; then own+=("$pair"); fi
  done
  say "== $PREFIX-$1"
  aws cloudformation deploy --template-file "$1.yaml" --stack-name "$PREFIX-$1" \
    --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset --tags "project=$PREFIX" \
    --parameter-overrides "${own[@]}"
}

# view ID: make one of Athena's views by the saved query of that id
view() {
  local sql run state
  sql="$(aws athena get-named-query --named-query-id "$1" --query NamedQuery.QueryString --output text)"
  run="$(aws athena start-query-execution --work-group "$PREFIX" --query-string "$sql" \
    --query-execution-context "Database=$DATABASE" --query QueryExecutionId --output text)"
  while :; do
    state="$(aws athena get-query-execution --query-execution-id "$run" --query QueryExecution.Status.State --output text)"
    case "$state" in
      SUCCEEDED) return ;;
      QUEUED | RUNNING) sleep 2 ;;
      *) die "Athena could not make a view ($state): look at query $run in workgroup $PREFIX" ;;
    esac
  done
}

if [ "$TABLES" = yes ]; then
  deploy tables
  for id in $(output analytics ViewQueries); do view "$id"; done
  say "optimizers and views are there"
  exit
fi

for stack in $STACKS; do deploy "$stack"; done
if [ "$MLFLOW" = yes ] || exists mlflow; then deploy mlflow; fi
aws cloudformation update-termination-protection --stack-name "$PREFIX-storage" \
  --enable-termination-protection >/dev/null

say "== for conf/submit.yaml"
uri=null
if exists mlflow; then uri="$(output mlflow TrackingUri)"; fi
cat <<EOF
bucket: $(output storage ArtifactBucket)
prefix: $PREFIX
warehouse: $(output storage Warehouse)
tracking_uri: ${uri:-null}
emr_serverless:
  application_id: $(output compute ApplicationId)
  execution_role: $(output access RunRoleArn)
  log_group: $(output compute EmrLogGroup)
glue:
  job: $(output compute RunJobName)
  log_group: $(output compute GlueLogGroup)
EOF
