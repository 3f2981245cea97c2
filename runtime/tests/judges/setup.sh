#!/bin/sh
# Make the environment of the KServe judge: its pins conflict with ours, so it lives apart.
# Instant when it is there.
set -eu
cd "$(dirname "$0")/../../.."

# As in scripts/setup: authorities that the machine trusts count for uv, too.
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"

env=var/judges/kserve
stamp=$env/.complete
wanted=$(cksum <"runtime/tests/judges/setup.sh")
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi

for uv in uv .tools/bin/uv .tools/pip/bin/uv .venv/bin/uv ""; do
    if [ -n "$uv" ] && "$uv" --version >/dev/null 2>&1; then break; fi
done
rm -rf "$env"
if [ -n "$uv" ]; then
    "$uv" venv --quiet --no-project --python "${PYTHON:-python3.11}" "$env"
    "$uv" pip install --quiet --python "$env/bin/python" 'kserve==0.21.0'
else
    "${PYTHON:-python3.11}" -m venv "$env"
    "$env/bin/python" -m pip install --quiet --disable-pip-version-check 'kserve==0.21.0'
fi
printf '%s' "$wanted" >"$stamp"
