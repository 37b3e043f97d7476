"""Crates to hand over, so that an SDK builds without a registry. Private to this folder."""

_MARK = "roma_crates__"

_CratesInfo = provider(
    doc = "The third-party crates that a target needs.",
    fields = {"files": "depset of all files of them."},
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

# A folder of crates is a registry to cargo if each of them says so. The files' names come as standard
# input; a folder's name is that of the repository after the mark.
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
    doc = "A folder with the sources of all third-party crates that some targets need.",
    attrs = {
        "deps": attr.label_list(aspects = [_crates_aspect], doc = "The targets."),
    },
)
