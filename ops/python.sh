#!/bin/sh
# Prints a Python for each version that we support and that the machine has, newest first, a path on each line.
#
#   ops/python.sh                those in PATH
#   ops/python.sh --everywhere   also those that pyenv keeps
#
# Only one that really runs and can make a virtual environment counts: a shim of pyenv may exist and fail, and Debian
# may have left out a part.

usable='import sys, venv, ensurepip; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])'

for version in 3.13 3.12 3.11; do
    for name in "python$version" python3 python; do
        IFS=:
        set -f
        for folder in $PATH; do
            unset IFS
            candidate="$folder/$name"
            if [ -x "$candidate" ] && "$candidate" -c "$usable" "$version" >/dev/null 2>&1; then
                printf '%s\n' "$candidate"
                continue 3
            fi
        done
        unset IFS
        set +f
    done
    if [ "${1:-}" = --everywhere ]; then
        for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version"*/bin/python; do
            if [ -x "$candidate" ] && "$candidate" -c "$usable" "$version" >/dev/null 2>&1; then
                printf '%s\n' "$candidate"
                continue 2
            fi
        done
    fi
done
