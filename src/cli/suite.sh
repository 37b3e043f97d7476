#!/bin/sh
# Runs `roma bench suite`: the arguments are variables for it, its path and its own arguments.
exec env "$@"
