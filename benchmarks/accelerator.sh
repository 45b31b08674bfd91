#!/usr/bin/env bash
# What the minutes on an accelerator are used for: accelerator/__init__.py says what is done, README.md how to call it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
python=${PYTHON:-python3}

# On a machine with a network: the wheels that another one may lack, in the versions of constraints.txt.
if [[ ${1:-} == --collect ]]; then
  names="pytest|pluggy|iniconfig|packaging|pygments|tyro|docstring_parser|typeguard|typing_extensions"
  names+="|rich|markdown-it-py|mdurl|jinja2|markupsafe|hypothesis|sortedcontainers"
  mapfile -t pins < <(grep -iE "^($names)==" "$root/constraints.txt")
  platforms=()
  for tag in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1; do
    platforms+=(--platform "${tag}_x86_64")
  done
  exec "$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    "${platforms[@]}" -d "${2:?--collect DIR}" "${pins[@]}"
fi

export PYTHONPATH="$root/src:$root/lab/src:$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
exec "$python" -m accelerator "$@"
