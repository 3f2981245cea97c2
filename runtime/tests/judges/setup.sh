#!/bin/sh
# Make the environment of the KServe judge: its pins conflict with ours, so it lives apart.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
target="$root/.tools/judges/kserve"
[ -x "$target/bin/python" ] || uv venv --quiet --python 3.11 "$target"
uv pip install --quiet --python "$target/bin/python" 'kserve==0.21.0'
echo "$target/bin/python"
