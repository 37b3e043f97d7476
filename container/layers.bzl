"""The layers of one user, for the packages of this folder."""

load("@rules_pkg//pkg:mappings.bzl", "pkg_attributes", "pkg_files", "pkg_mkdirs")
load("@rules_pkg//pkg:tar.bzl", "pkg_tar")
load("//bzl:defs.bzl", "get_user", "roma_container_dir", "roma_container_root_dir")

visibility(["//container/..."])

_RUNSC_DIR = "usr/byob/gvisor/bin"
_SERVER_DIR = "server/bin"

def _parents(path):
    """Returns the parent folders of a path, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]

def layer(name, user, out = None, files = {}, folders = {}):
    """Makes a layer whose entries belong to a user, and whose other folders belong to root.

    Args:
        name: the rule's name.
        user: the owner, see `get_user`.
        out: the name of the file; `<name>.tar` by default.
        files: the mode of each file, by its label and its path in the image: `{(label, path): mode}`.
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
        # The parent folders stay root's.
        owner = "0.0",
        owners = {path: "%d.%d" % (user.uid, user.gid) for path in own},
        visibility = ["//visibility:public"],
    )

def roma_layers(name):
    """Makes all layers of a user.

    Args:
        name: the user: `root` or `nonroot`.
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
