//! What would mend a sandbox that does not start, where the cause is known by what it says.

const SECCOMP: &str = "a filter of the container is in the way: run it with Roma's container/seccomp.json \
                       (--security-opt seccomp=FILE), see docs/containers.md";
const USER_NAMESPACES: &str = "this process may not make user namespaces: run a container with Roma's \
                               container/seccomp.json (--security-opt seccomp=FILE), as root with \
                               CAP_SETFCAP, see docs/containers.md; elsewhere `roma doctor` says \
                               which setting forbids them";
const TOO_MANY: &str = "no more user namespaces are allowed here: raise user.max_user_namespaces";
const CHROOT: &str = "gVisor may not call chroot: keep CAP_SYS_CHROOT, or run the container with Roma's \
                      container/seccomp.json, see docs/containers.md";
const EXTERNAL: &str = "inside gVisor as the container's runtime this must run as root with \
                        CAP_SYS_ADMIN, see docs/containers.md; elsewhere AppArmor may restrict user \
                        namespaces: `roma doctor` says how to lift that";

const KNOWN: [(&str, &str); 9] = [
    (
        "fork/exec /proc/self/exe: operation not permitted",
        USER_NAMESPACES,
    ),
    (
        "fork/exec /proc/self/exe: function not implemented",
        SECCOMP,
    ),
    (
        "fork/exec /proc/self/exe: no space left on device",
        TOO_MANY,
    ),
    ("creating root file system: input/output error", CHROOT),
    (
        "step isolate failed: Operation not permitted",
        USER_NAMESPACES,
    ),
    ("step isolate failed: Function not implemented", SECCOMP),
    ("step isolate failed: No space left on device", TOO_MANY),
    ("step isolate failed: Permission denied", EXTERNAL),
    ("step unshare failed: Operation not permitted", SECCOMP),
];

/// What to add to an error with this text; nothing, if its cause is not known.
pub(crate) fn on(text: &impl ToString) -> String {
    let text = text.to_string();
    let known = KNOWN.iter().find(|(said, _)| text.contains(said));
    known.map_or_else(String::new, |(_, advice)| format!("\nTo mend it: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::on;

    #[test]
    fn known_causes_have_a_remedy_and_others_none() {
        let said = "re-executing self: fork/exec /proc/self/exe: function not implemented";
        assert!(on(&said).contains("container/seccomp.json"));
        assert!(
            on(&"step isolate failed: No space left on device (os error 28)").contains("raise")
        );
        assert_eq!(on(&"step clone failed: Cannot allocate memory"), "");
    }
}
