# What deploy.sh and destroy.sh share. Needs bash and the AWS CLI.

# in the order in which they are deployed; mlflow and tables only when asked for
STACKS="storage access compute submitter operations analytics"

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 2
}

exists() { aws cloudformation describe-stacks --stack-name "$PREFIX-$1" >/dev/null 2>&1; }

# output STACK KEY: one output of a stack
output() {
  aws cloudformation describe-stacks --stack-name "$PREFIX-$1" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue"
}

# parameters FILE: the names of a template's parameters
parameters() { awk '/^[A-Z]/ { on = ($1 == "Parameters:") } on && /^  [A-Za-z]+:/ { sub(":", "", $1); print $1 }' "$1"; }
