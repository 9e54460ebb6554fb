# Sourced by demo.sh and test.sh: makes .venv beside the package, once, and activates it.
# $1 is what pip installs: "." or ".[dev]".

python=$(command -v python3.13 || command -v python3.12 || command -v python3.11 || command -v python3)
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "dreamvid needs Python 3.11 or newer; found $("$python" --version)" >&2
    exit 1
fi

stamp=".venv/installed-$(echo "$1" | tr -c 'a-z\n' _)"
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$1"
    touch "$stamp"
fi
. .venv/bin/activate
