# Sourced by demo.sh and test.sh: makes .venv beside the package, once, and activates it.
# $1 is what pip installs: "." or ".[dev]".

is_new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
for python in python3 python3.13 python3.12 python3.11 ""; do
    "$python" -c "$is_new_enough" 2>/dev/null && break
done
if [ -z "$python" ]; then
    echo "dreamvid needs Python 3.11 or newer; found $(python3 --version 2>&1 || true)" >&2
    exit 1
fi

stamp=".venv/installed-$(echo "$1" | tr -c 'a-z\n' _)"
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$1"
    touch "$stamp"
fi
. .venv/bin/activate
