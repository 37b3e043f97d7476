"""Text files that are made of the templates in `templates/`."""

visibility("private")

def _expanded_template_impl(ctx):
    known = {file.basename: file for file in ctx.files._templates}
    extension = ctx.attr.templates[0].split(".")[-2]
    output = ctx.actions.declare_file("%s.%s" % (ctx.label.name, extension))
    parts = [
        ctx.actions.declare_file("%s_parts/%s" % (ctx.label.name, template))
        for template in ctx.attr.templates
    ]
    for template, part in zip(ctx.attr.templates, parts):
        ctx.actions.expand_template(
            template = known[template],
            output = part,
            substitutions = ctx.attr.substitutions,
        )
    arguments = ctx.actions.args()
    arguments.add(output)
    arguments.add_all(parts)
    ctx.actions.run_shell(
        command = 'out=$1; shift; cat "$@" > "$out"',
        arguments = [arguments],
        inputs = parts,
        outputs = [output],
        mnemonic = "JoinTemplates",
    )
    return [DefaultInfo(files = depset([output]))]

expanded_template = rule(
    implementation = _expanded_template_impl,
    doc = "Expands templates and joins the results into one file.",
    attrs = {
        "substitutions": attr.string_dict(
            # In this order. Put text from a user last, because it could contain a key.
            doc = "The replacement of each text.",
        ),
        "templates": attr.string_list(allow_empty = False, doc = "The names of files in `templates/`."),
        "_templates": attr.label(default = Label("//bzl/private/templates")),
    },
)
