#!/bin/sh
# Prints the SHA-256 of standard input, by whichever of three programs is there.
if command -v sha256sum >/dev/null; then
	sha256sum
elif command -v shasum >/dev/null; then
	shasum -a 256
else
	sha256 -q
fi | cut -d ' ' -f 1
