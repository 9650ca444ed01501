#!/bin/sh
# Runs all tests. Arguments go to cargo: `tests/run.sh node::` runs the tests of the node recipe only.
set -eu
cd "$(dirname "$0")/.."
./tests/install-tools.sh >&2
exec cargo test "$@"
