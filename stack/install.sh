#!/bin/sh
# Creates the environment and installs the locked requirements: stack/install.sh VENV LOCKFILE
# Every package is checked against the hash in the lock file. uv installs them in seconds; where it cannot be had, pip
# does the same in a minute.
set -eu

venv=$1
lock=$2

say() { printf '%s\n' "$*" >&2; }

find_python() {
    # A found program may still be a shim for a version that is not installed, so each is asked.
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3.14 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

create() {
    python=$(find_python) || {
        say "No Python 3.11 or later was found${PYTHON:+ as $PYTHON}."
        say "Install one (Debian, Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3"
        exit 1
    }
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "Creating $venv with Python $version ($python)"
    if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        "$python" -m venv --clear "$venv"
    elif "$python" -m virtualenv --version >/dev/null 2>&1; then
        "$python" -m virtualenv --quiet --clear "$venv"
    elif command -v virtualenv >/dev/null 2>&1; then
        virtualenv --quiet --clear --python "$python" "$venv"
    elif command -v uv >/dev/null 2>&1; then
        uv venv --quiet --clear --seed --python "$python" "$venv"
    else
        say "This Python cannot make environments: its venv or ensurepip is missing."
        say "Debian, Ubuntu: apt install python$version-venv      (or install virtualenv or uv)"
        exit 1
    fi
}

usable() { "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# The lines of one package in the lock file, with its hashes.
locked() { awk -v name="$1" '/^[A-Za-z0-9]/ {on = index($0, name "==") == 1} on && !/^ *#/' "$lock"; }

get_uv() {
    version=$(locked uv | sed -n '1s/^uv==\([^ ;]*\).*/\1/p')
    [ "$("$venv/bin/uv" --version 2>/dev/null | cut -d' ' -f2)" = "$version" ] && return 0
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || return 1
    wanted=$(mktemp)
    locked uv >"$wanted"
    status=0
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary uv --require-hashes \
        -r "$wanted" || status=1
    rm -f "$wanted"
    return $status
}

[ -d "$venv" ] && usable || create

if get_uv; then
    say "Installing $lock with uv"
    VIRTUAL_ENV=$(cd "$venv" && pwd) "$venv/bin/uv" pip sync --quiet --require-hashes "$lock" && exit 0
    say "uv could not install; trying pip, which takes a minute"
fi
exec "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
