# Where your UDF runs

| | |
|---|---|
| system calls | level `{{syscall_filter}}`: see [system calls](syscalls.md) |
| functions of the host (descriptor 4) | {{host_functions}} |
| libraries in the sandbox | {{libraries}} |
| memory of one process | {{memory}} |
| processor time of one request | {{processor_time}} |
| `/tmp` | {{tmp}} |
| largest request, largest response | {{payloads}} |

[Execution environment](environment.md) explains these limits, and the rules that hold everywhere.
{{notes}}
