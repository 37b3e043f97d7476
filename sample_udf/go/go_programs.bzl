"""Static programs in Go."""

def _go_programs_impl(ctx):
    programs = ctx.outputs.programs
    module = [file for file in ctx.files.srcs if file.basename == "go.mod"][0]

    # Ignore the machine's settings and fetch nothing.
    ctx.actions.run_shell(
        command = """
            go=$PWD/$1; out=$PWD/$2; cd "$(dirname "$3")"; shift 3
            export HOME=$out.home GOCACHE=$out.home/cache GOPATH=$out.home/go
            export CGO_ENABLED=0 GO111MODULE=on GOENV=off GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local
            for program in "$@"; do
                "$go" build -trimpath -buildvcs=false -ldflags='-s -w' -o "$out/$program" "./programs/$program" || exit
            done
            chmod -R u+w "$HOME"; rm -rf "$HOME"
        """,
        arguments = [ctx.executable._go.path, programs[0].dirname, module.path] + [program.basename for program in programs],
        inputs = ctx.files.srcs,
        tools = [ctx.executable._go],
        outputs = programs,
        mnemonic = "GoBuild",
        progress_message = "Building %{label} with Go",
    )
    return [DefaultInfo(files = depset(programs))]

go_programs = rule(
    implementation = _go_programs_impl,
    doc = "Builds several programs of one module at once, so that Go's own library is compiled once.",
    attrs = {
        "programs": attr.output_list(mandatory = True, doc = "Folders below `programs`, one for each."),
        "srcs": attr.label_list(mandatory = True, allow_files = True, doc = "All files of the module."),
        "_go": attr.label(default = "@go//:go", executable = True, cfg = "exec", allow_single_file = True),
    },
)
