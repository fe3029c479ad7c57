#!/usr/bin/env bash
# tests/matrix.sh VERSION [pytest options]: the tests without servers on one version of Python, in
# an environment of its own (.venv-VERSION). Looks for the interpreter on PATH, among pyenv's, and
# at last asks uv to find or fetch one.
set -euo pipefail
cd "$(dirname "$0")/.."
version="$1"
shift

find_python() {
    local candidate
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "
import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    command -v uv >/dev/null 2>&1 && uv python find "$version" 2>/dev/null && return
    command -v uv >/dev/null 2>&1 && uv python install --quiet "$version" && uv python find "$version"
}

python="$(find_python)" || {
    echo "Python $version not found: install it (python.org, pyenv, uv) or leave it out: make test-matrix MATRIX='3.11 3.12'" >&2
    exit 2
}
venv=".venv-$version"
stamp="$venv/.installed"
if [[ ! -e $stamp || requirements.lock -nt $stamp || pyproject.toml -nt $stamp ]]; then
    echo "Python $version: installing into $venv"
    [[ -x $venv/bin/python ]] || "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    touch "$stamp"
fi
echo "Python $version: $("$venv/bin/python" --version)"
"$venv/bin/python" -m pytest tests/unit "$@"
