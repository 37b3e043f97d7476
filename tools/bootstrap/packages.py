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

# gVisor: the source that third_party/runsc builds, in Debian's pool, with checksums from Debian's signed index; and
# Debian's own build of it. bookworm's is too old for systrap, and forky's panics at the first exec.
RUNSC_SUITE = "trixie"
RUNSC = {"runsc": "0.0~20240729"}
RUNSC_SOURCE_FOLDER = "pool/main/g/golang-gvisor-gvisor"
RUNSC_SOURCE = {
    "golang-gvisor-gvisor_0.0~20240729.0.orig.tar.gz": "8677fe60daa0519bb77139c58fec6c9e4ea1ee12f9f673007c6c0e3545ef69d2",
    "golang-gvisor-gvisor_0.0~20240729.0-4.debian.tar.xz": "4c6943f04cb36010aeb0c001fc5fdbf0d2dec895eabeefd6c38e59febc2da472",
}

# What that build compiles with: Go, the C++ compiler without its driver, their libraries, and gVisor's dependencies.
# All are of one suite, whatever the machine's own is, so that machines with the same packages build the same file.
# `{gnu}` is the machine's architecture.
RUNSC_BUILD = {
    "golang-1.24-go": "1.24.4",
    "golang-1.24-src": "1.24.4",
    "cpp-14-{gnu}": "14.2.0",
    "g++-14-{gnu}": "14.2.0",
    "binutils-{gnu}": "2.44",
    "libgcc-14-dev": "14.2.0",
    "libc6-dev": "2.41",
    "linux-libc-dev": "6.12",
    "libbinutils": "2.44",
    "libc6": "2.41",
    "libctf-nobfd0": "2.44",
    "libctf0": "2.44",
    "libgcc-s1": "14.2.0",
    "libgmp10": "",
    "libisl23": "",
    "libjansson4": "",
    "libmpc3": "",
    "libmpfr6": "",
    "libsframe1": "2.44",
    "libstdc++6": "14.2.0",
    "libzstd1": "",
    "zlib1g": "",
    "golang-dbus-dev": "5.1",
    "golang-github-bits-and-blooms-bitset-dev": "1.13",
    "golang-github-cenkalti-backoff-dev": "4.3",
    "golang-github-cilium-ebpf-dev": "0.11",
    "golang-github-coreos-go-systemd-dev": "22.5",
    "golang-github-gofrs-flock-dev": "0.8",
    "golang-github-google-btree-dev": "1.0",
    "golang-github-google-subcommands-dev": "1.2",
    "golang-github-kr-pty-dev": "1.1",
    "golang-github-mohae-deepcopy-dev": "",
    "golang-github-opencontainers-specs-dev": "1.2",
    "golang-github-vishvananda-netlink-dev": "1.3",
    "golang-github-vishvananda-netns-dev": "0.0.5",
    "golang-gocapability-dev": "",
    "golang-golang-x-exp-dev": "",
    "golang-golang-x-mod-dev": "0.19",
    "golang-golang-x-sync-dev": "0.7",
    "golang-golang-x-sys-dev": "0.22",
    "golang-golang-x-time-dev": "0.5",
    "golang-google-protobuf-dev": "1.36",
}

# V8, as Debian's Node.js has it: headers, the library, and all that the library links, its C library included. The
# number in the first name changes with V8's interface. third_party/v8/README.md says how to follow it.
V8_SUITE = "forky"
V8 = {
    "libnode137": "24",
    "libnode-dev": "24",
    "libada-url0-3": "",
    "libbrotli1": "",
    "libc6": "",
    "libcares2": "",
    "libgcc-s1": "",
    "libhdr-histogram6": "",
    "libicu78": "",
    "libllhttp9.4": "",
    "libnghttp2-14": "",
    "libsimdjson33": "",
    "libsimdutf35": "",
    "libsqlite3-0": "",
    "libssl3t64": "",
    "libstdc++6": "",
    "libuv1t64": "",
    "libzstd1": "",
    "zlib1g": "",
}

# The programs that must be installed on the machine, with their Debian packages.
TOOLS = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "g++": "g++",
    "gcc": "gcc",
    "git": "git",
    "ld.bfd": "binutils",
    "patch": "patch",
    "tar": "tar",
    "xz": "xz-utils",
}
