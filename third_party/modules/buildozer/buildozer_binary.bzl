"""The extension that Bazel's own module refers to; it offers nothing here."""

def _buildozer_binary_impl(_module_ctx):
    pass

buildozer_binary = module_extension(implementation = _buildozer_binary_impl)
