"""The attributes that a macro passes to all its targets."""

visibility("private")

def common_attributes(kwargs):
    """Returns those of a macro's arguments that apply to each target that it makes.

    Args:
        kwargs: the macro's arguments.

    Returns:
        a dict with `tags`, `testonly` and `visibility`, as far as given.
    """
    return {key: kwargs[key] for key in ("tags", "testonly", "visibility") if key in kwargs}
