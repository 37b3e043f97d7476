"""The extension that Bazel's own module refers to. Here it makes nothing."""

def _buildozer_binary_impl(_module_ctx):
    pass

buildozer_binary = module_extension(implementation = _buildozer_binary_impl)
