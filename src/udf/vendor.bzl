"""The sources of third-party crates, so that an SDK builds without a registry."""

visibility("private")

_MARK = "roma_crates__"

_CratesInfo = provider(
    doc = "The third-party crates that a target needs.",
    fields = {"files": "A depset of all their files."},
)

_EDGES = ["actual", "deps", "proc_macro_deps", "script"]

def _crates_aspect_impl(target, ctx):
    transitive = []
    for edge in _EDGES:
        value = getattr(ctx.rule.attr, edge, None)
        for dep in (value if type(value) == "list" else [value]):
            if type(dep) == "Target" and _CratesInfo in dep:
                transitive.append(dep[_CratesInfo].files)
    direct = []
    if _MARK in target.label.workspace_name:
        direct = getattr(ctx.rule.files, "srcs", []) + getattr(ctx.rule.files, "compile_data", [])
    return [_CratesInfo(files = depset(direct, transitive = transitive))]

_crates_aspect = aspect(
    implementation = _crates_aspect_impl,
    attr_aspects = _EDGES,
)

# Cargo accepts a folder of crates as a registry if each crate has a checksum file. The second argument is a file
# with the names of the sources. A crate's folder is named by the part of its repository's name after the mark.
_COPY = """
out=$1
while read -r file; do
    path=$out/${file#external/*%s}
    install -D -m 644 "$file" "$path"
done < "$2"
for crate in "$out"/*; do
    echo '{"files":{}}' > "$crate/.cargo-checksum.json"
done
""" % _MARK

def _vendored_crates_impl(ctx):
    files = depset(transitive = [dep[_CratesInfo].files for dep in ctx.attr.deps])
    folder = ctx.actions.declare_directory(ctx.label.name)
    names = ctx.actions.args()
    names.add_all(files)
    names.use_param_file("%s", use_always = True)
    names.set_param_file_format("multiline")
    ctx.actions.run_shell(
        command = _COPY,
        arguments = [folder.path, names],
        inputs = files,
        outputs = [folder],
        mnemonic = "VendorCrates",
    )
    return [DefaultInfo(files = depset([folder]))]

vendored_crates = rule(
    implementation = _vendored_crates_impl,
    doc = "Makes a folder with the sources of all third-party crates that some targets need.",
    attrs = {
        "deps": attr.label_list(aspects = [_crates_aspect], doc = "The targets."),
    },
)
