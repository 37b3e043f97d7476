"""The packages of Debian that are used, with their suites and required versions."""

# Bazel and its rules. They are unpacked into the cache and never installed, so their suite may be newer than the
# machine's own. Each upstream version must be the one that MODULE.bazel or .bazelversion names.
BAZEL_SUITE = "forky"
BAZEL = {
    "bazel-bootstrap": "7.7.1",
    "bazel-rules-cc": "0.0.11",
    "bazel-rules-java": "7.6.5",
    "bazel-rules-license": "0.0.7",
    "bazel-rules-pkg": "0.9.1",
    "bazel-rules-proto": "6.0.0",
    "bazel-rules-python": "0.22.1",
    "bazel-rules-rust": "0.54.1",
    "bazel-rules-shell": "0.4.0",
    "bazel-features": "1.11.0",
    "bazel-platforms": "0.0.10",
    "bazel-skylib": "1.9.1",
}

# The server needs Java 21 or newer. The first of these that the suite has is used.
JAVA = ["openjdk-25-jre-headless", "openjdk-21-jre-headless", "openjdk-26-jre-headless"]

# Dependencies of the packages above that Bazel's server does not use. apt is told that they are installed, which
# keeps about 400 MB of compilers, perl, fonts and desktop libraries out of the cache.
ASSUMED = """
    build-essential ca-certificates ca-certificates-java debconf default-jdk-headless
    default-jre-headless dpkg fontconfig-config g++ gcc java-common libasound2t64 libcups2t64
    libeclipse-jdt-core-java libfontconfig1 libfreetype6 libharfbuzz0b libjetty9-java libjgit-java
    libjpeg62-turbo libjs-jquery liblcms2-2 libnspr4 libnss3 libpcsclite1 libperl5.42 node-core-js
    node-html5shiv openjdk-25-jdk-headless perl protobuf-compiler-grpc-java-plugin python3 tzdata
    unzip util-linux-extra velocity-dummy zlib1g-dev
""".split()

# Libraries that our C++ code links, from the machine's own suite, because they must suit its compiler and libc.
# protobuf must be a 3.21, which the registry calls 21.x, as in MODULE.bazel.
HOST = {
    "libgmock-dev": "",
    "libgtest-dev": "",
    "libprotobuf-dev": "3.21",
    "libprotobuf-lite32|libprotobuf-lite32t64": "3.21",
    "libprotobuf32|libprotobuf32t64": "3.21",
    "libprotoc32|libprotoc32t64": "3.21",
    "patchelf": "",
    "protobuf-compiler": "3.21",
    "zlib1g-dev": "",
}

# Go, for the samples: the first of these that the machine's own suite has. Its library is a separate package.
GO = ["golang-1.19-go", "golang-1.24-go", "golang-1.25-go", "golang-1.26-go"]

# The base of container images, from the machine's own suite, whose libc our programs link.
BASE = {
    "base-files": "",
    "busybox-static": "",
    "gcc-12-base|gcc-14-base|gcc-15-base|gcc-16-base": "",
    "libc6": "",
    "libgcc-s1": "",
    "libstdc++6": "",
}

# gVisor: trixie's build of 20240729 works. bookworm's is too old for systrap, and forky's build of
# the same source panics at the first exec.
RUNSC_SUITE = "trixie"
RUNSC = {"runsc": "0.0~20240729"}

# The programs that must be installed on the machine, with their Debian packages.
TOOLS = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "g++": "g++",
    "gcc": "gcc",
    "git": "git",
    "ld.bfd": "binutils",
    "tar": "tar",
    "xz": "xz-utils",
}
