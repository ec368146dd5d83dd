#!/bin/sh
# The project's own copy of fixtures, in this build. Ends `N passed, N failed`.
exec "${BUILD:-build/release}/tests/golden" tests/golden
