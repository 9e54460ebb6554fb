# Sourced by demo.sh and test.sh: makes .venv beside the package, once, and activates it.
# $1 is what is installed: "." or ".[dev]". uv does it where it is at hand, otherwise venv and pip.

make_environment() {
    local python is_new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
    if command -v uv >/dev/null; then
        uv venv --quiet --seed --python ">=3.11" .venv && return
    fi
    for python in python3 python3.13 python3.12 python3.11; do
        if "$python" -c "$is_new_enough" 2>/dev/null; then
            "$python" -m venv .venv
            return
        fi
    done
    echo "dreamvid needs Python 3.11 or newer; found $(python3 --version 2>&1 || true)" >&2
    return 1
}

install_package() {
    if command -v uv >/dev/null; then
        # Without an NVIDIA card this takes torch's small build for the CPU, from PyTorch's own
        # index. What fails here fails below as well, and is told there, unless it is that index.
        uv pip install --quiet --python .venv --torch-backend=auto --editable "$1" 2>/dev/null &&
            return
        echo "PyTorch's own index is not usable here: installing from the default index" >&2
        uv pip install --quiet --python .venv --editable "$1" && return
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$1"
}

stamp=".venv/installed-$(echo "$1" | tr -c 'a-z\n' _)"
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    [ -x .venv/bin/python ] || make_environment
    install_package "$1"
    touch "$stamp"
fi
. .venv/bin/activate
