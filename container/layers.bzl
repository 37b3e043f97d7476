"""The layers of one user."""

load("@rules_pkg//pkg:mappings.bzl", "pkg_attributes", "pkg_files", "pkg_mkdirs")
load("@rules_pkg//pkg:tar.bzl", "pkg_tar")
load("//bzl:container.bzl", "roma_container_dir", "roma_container_root_dir")
load("//third_party:container_deps.bzl", "get_user")

_RUNSC_DIR = "usr/byob/gvisor/bin"
_SERVER_DIR = "server/bin"

def _parents(path):
    """The folders that lead to a path, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]

def layer(name, user, out = None, files = {}, folders = {}):
    """A layer whose entries belong to a user, and the folders that lead to them to root.

    Args:
        name: the rule's name.
        user: whose it is, see `get_user`.
        out: the file; `<name>.tar` unless said otherwise.
        files: the mode, by the label of a file and the path where it goes: `{(label, path): mode}`.
        folders: the mode of each folder, by its path.
    """
    own = [path for _, path in files] + folders.keys()
    leading = [folder for path in own for folder in _parents(path) if folder not in folders]
    pkg_mkdirs(
        name = name + "_parents",
        attributes = pkg_attributes(mode = "0755"),
        dirs = depset(leading).to_list(),
    )
    srcs = [name + "_parents"]
    for number, (path, mode) in enumerate(folders.items()):
        pkg_mkdirs(
            name = "%s_folder_%d" % (name, number),
            attributes = pkg_attributes(mode = mode),
            dirs = [path],
        )
        srcs.append("%s_folder_%d" % (name, number))
    for number, ((label, path), mode) in enumerate(files.items()):
        pkg_files(
            name = "%s_file_%d" % (name, number),
            srcs = [label],
            attributes = pkg_attributes(mode = mode),
            renames = {label: path},
        )
        srcs.append("%s_file_%d" % (name, number))
    pkg_tar(
        name = name,
        srcs = srcs,
        out = out,
        # (of all entries, lest those who lead to them change hands)
        owner = "0.0",
        owners = {path: "%d.%d" % (user.uid, user.gid) for path in own},
        visibility = ["//visibility:public"],
    )

def roma_layers(name):
    """All layers of a user.

    Args:
        name: the user's: `root` or `nonroot`.
    """
    user = get_user(name)
    directory = roma_container_dir.lstrip("/")
    config = {(":config.json", directory + "/config.json"): "0600"}
    server = "/".join([directory, roma_container_root_dir, _SERVER_DIR, "run_workers"])
    runsc_dir = {"var/run/runsc": "0700"}

    layer(
        name = "gvisor_tar_" + name,
        files = {("//third_party/runsc", _RUNSC_DIR + "/runsc"): "0500"},
        folders = {"run_workers": "0700"} | runsc_dir,
        user = user,
    )
    layer(
        name = "var_run_runsc_tar_" + name,
        folders = runsc_dir,
        user = user,
    )
    layer(
        name = "container_config_" + name,
        out = "container_config_%s.tar" % name,
        files = config,
        user = user,
    )
    layer(
        name = "byob_server_container_" + name,
        out = "byob_server_container_%s.tar" % name,
        files = {(":run_workers", _SERVER_DIR + "/run_workers"): "0500"},
        user = user,
    )
    layer(
        name = "byob_server_container_with_dir_" + name,
        out = "byob_server_container_with_dir_%s.tar" % name,
        files = config | {(":run_workers", server): "0500"},
        user = user,
    )
