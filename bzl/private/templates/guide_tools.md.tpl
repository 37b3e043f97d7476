
## Trying it

`tools/roma` runs and checks a UDF on your machine:

    tools/roma doctor
    tools/roma verify udf --proto specs/udf_interface.proto
    tools/roma shell --proto specs/udf_interface.proto
    roma> load udf
    roma> help

`doctor` says what this machine can do. `verify` checks the program `udf` in the real sandbox; with `--request`
and a request in JSON it also checks the answer. In the shell, `help` lists the calls of the API: each is a command
that takes a request in JSON. All of them run the program inside gVisor. If that does not work, `--mode minimal`
runs it without gVisor, and warns that this mode is not for production, where other people's data is.

The tools offer no functions of a host, and limit a process only by its deadline. `docs/udf/runtime.md` says
what the real host gives.
