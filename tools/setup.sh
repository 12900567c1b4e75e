#!/bin/sh
# Make the project's own environment in .venv, from the lock files and nothing else.
#
#   tools/setup.sh          Python packages, into .venv; quick when nothing changed
#   tools/setup.sh tests    the Debian packages that the tests need, only those that are missing
#   tools/setup.sh lock     write the lock files anew from pyproject.toml; with --upgrade, newer versions too
#
# Needs Python 3.11, 3.12 or 3.13. Asks for root only where a Debian package is missing, and says so.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.ready

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $1"
    [ $# -lt 2 ] || say "hint: $2"
    exit 1
}

find_python() {
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null ||
            continue
        "$candidate" -c 'import sys; print(sys.executable)'
        return
    done
    fail "Python 3.11, 3.12 or 3.13 is needed and none was found" \
        "on Debian 12 or Raspberry Pi OS: sudo apt-get install python3 python3-venv"
}

# How to become root: not needed, through sudo, or not at all.
root_by() {
    if [ "$(id -u)" -eq 0 ]; then
        echo env
    elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        echo sudo
    fi
}

apt_install() {
    command -v apt-get >/dev/null 2>&1 ||
        fail "these Debian packages are missing, and this is no Debian: $*" \
            "install what corresponds to them and call again"
    by=$(root_by)
    [ -n "$by" ] || fail "these Debian packages are missing, and installing them needs root: $*" \
        "run once, then call again: su -c 'apt-get update && apt-get install $*'"
    say "Installing Debian packages: $*"
    $by apt-get update -qq </dev/null >/dev/null ||
        say "warning: apt-get update failed; going on with the lists there are"
    $by env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null ||
        fail "apt-get could not install: $*" "try it by hand to see why: apt-get install $*"
}

make_venv() {
    python=$1
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        case $python in
        /usr/bin/*) ;;
        *) fail "$python has no venv module" "use another Python: PYTHON=/usr/bin/python3.11 make setup" ;;
        esac
        apt_install "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    fi
    say "Making .venv with $("$python" -V) ($python)"
    rm -rf .venv
    "$python" -m venv .venv || fail "$python could not make .venv"
}

# What the environment was made from. It changes exactly when the environment must.
fingerprint() {
    cat requirements-dev.lock tools/pins/*.lock pyproject.toml tools/setup.sh | cksum
}

# An environment that was moved, or whose Python is gone, is made anew.
usable() {
    [ -x .venv/bin/python ] && [ "$(.venv/bin/python -c 'import sys; print(sys.prefix)')" = "$(pwd -P)/.venv" ]
}

install_uv() {
    [ -x .venv/bin/uv ] && [ "uv $(sed -n 's/^uv==\([^ ]*\).*/\1/p' tools/pins/uv.lock)" = \
        "$(.venv/bin/uv --version | cut -d' ' -f1,2)" ] && return
    .venv/bin/python -m pip --disable-pip-version-check install -q --require-hashes -r tools/pins/uv.lock ||
        fail "uv could not be installed into .venv" "is there a network, and does pip work through it?"
}

environment() {
    if usable && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; then
        touch "$stamp"
        return
    fi
    usable || make_venv "$(find_python)"
    rm -f "$stamp"
    install_uv
    say "Installing what requirements-dev.lock names (the first time takes some minutes on a Pi)"
    uv pip sync --compile-bytecode --require-hashes requirements-dev.lock ||
        fail "the packages of requirements-dev.lock could not be installed"
    uv pip install --no-deps --build-constraints tools/pins/build.lock --editable . ||
        fail "the project itself could not be installed"
    fingerprint >"$stamp"
}

# uv with the system's certificates where there are any: a laboratory's network may have its own authority.
uv() {
    certs=
    [ ! -s /etc/ssl/certs/ca-certificates.crt ] || certs=--system-certs
    # shellcheck disable=SC2086
    env -u UV_SYSTEM_PYTHON VIRTUAL_ENV="$(pwd -P)/.venv" .venv/bin/uv $certs -q "$@"
}

# Debian packages for the tests, one a line with what it is for behind a #.
tests() {
    missing=
    command -v dpkg-query >/dev/null 2>&1 || {
        say "warning: this is no Debian; tests that miss a program will say so and be skipped"
        return
    }
    for package in $(sed 's/#.*//' tools/apt-packages.txt); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    # shellcheck disable=SC2086
    [ -z "$missing" ] || apt_install $missing
}

lock() {
    set -- --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate "$@"
    uv pip compile "$@" pyproject.toml -o requirements.lock
    uv pip compile "$@" pyproject.toml --group dev --group bench -o requirements-dev.lock
    uv pip compile "$@" tools/pins/uv.in -o tools/pins/uv.lock
    uv pip compile "$@" tools/pins/build.in -o tools/pins/build.lock
}

what=${1:-environment}
[ $# -eq 0 ] || shift
case $what in
environment | tests | lock) "$what" "$@" ;;
*) fail "tools/setup.sh knows 'tests' and 'lock', not '$what'" ;;
esac
