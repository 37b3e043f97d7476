"""The users that an image's programs run as."""

visibility(["//bzl", "//third_party"])

_USERS = {
    "nonroot": struct(flavor = "nonroot", user = "nonroot", uid = 65532, group = "nonroot", gid = 65532),
    "root": struct(flavor = "root", user = "root", uid = 0, group = "root", gid = 0),
}

def get_user(user):
    """Returns the user that an image's programs run as.

    Args:
        user: `root` or `nonroot`.

    Returns:
        a struct with `user`, `uid`, `group`, `gid`, and `flavor`, the part of target names that stands for the user.
    """
    if user not in _USERS:
        fail("get_user: there is no user %r; use one of: %s" % (user, ", ".join(sorted(_USERS))))
    return _USERS[user]
