#!/bin/sh
# Prepares .venv for development: needs Python 3.11 or newer and nothing else.
#
#     tools/setup.sh          what the tests and checks need
#     tools/setup.sh docs     that, and what builds the documentation
#
# uv does the installing. It is taken from the PATH, or put into .tools/ with
# whatever the machine's Python offers (venv, else pip). uv never downloads an
# interpreter: the machine's own is used.
set -eu
cd "$(dirname "$0")/.."

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$new_enough" 2>/dev/null; then
        # The real path: a version manager's shim may change its mind later.
        python=$("$candidate" -c 'import sys; print(sys.executable)')
        break
    fi
done
if [ -z "$python" ]; then
    echo "setup: no Python 3.11 or newer on the PATH (set PYTHON=/path/to/python)" >&2
    exit 1
fi

# An account without a usable home folder keeps its caches here.
if [ ! -w "${HOME:-/nonexistent}" ]; then
    export XDG_CACHE_HOME="$PWD/.tools/cache"
fi
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 PIP_ROOT_USER_ACTION=ignore

if [ -x .tools/bin/uv ]; then
    uv=$PWD/.tools/bin/uv
elif command -v uv >/dev/null 2>&1 && uv pip install --help 2>/dev/null | grep -q -e --group; then
    uv=uv
else
    echo "setup: installing uv into .tools/" >&2
    mkdir -p .tools/bin
    if "$python" -m venv .tools/bootstrap >/dev/null 2>&1; then
        .tools/bootstrap/bin/python -m pip --quiet --disable-pip-version-check install uv
        ln -sf ../bootstrap/bin/uv .tools/bin/uv
    elif "$python" -m pip --version >/dev/null 2>&1; then
        rm -rf .tools/bootstrap
        "$python" -m pip --quiet --disable-pip-version-check install --target .tools/bootstrap uv
        ln -sf ../bootstrap/bin/uv .tools/bin/uv
    else
        rm -rf .tools/bootstrap
        echo "setup: $python has neither ensurepip nor pip, so uv can't be installed;" >&2
        echo "setup: install uv, or the system's venv package (Debian: python3-venv), and try again" >&2
        exit 1
    fi
    uv=$PWD/.tools/bin/uv
fi

if ! { [ -x .venv/bin/python ] && .venv/bin/python -c "$new_enough" 2>/dev/null; }; then
    rm -rf .venv
    "$uv" venv --quiet --python "$python" .venv
fi

install() {
    "$uv" pip install --quiet --python .venv/bin/python --group dev ${1:+--group "$1"} --editable '.[all]'
}
# uv brings its own root certificates; behind a proxy only the system's will do.
if ! output=$(install "$@" 2>&1); then
    export UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1
    install "$@" 2>/dev/null || { echo "$output" >&2; exit 1; }
fi
touch .venv/.ready
[ -z "${1:-}" ] || touch ".venv/.$1"
