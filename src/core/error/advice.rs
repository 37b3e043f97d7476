//! What fixes a sandbox that does not start, where the cause is known.

use nix::libc::{EACCES, ENOSPC, ENOSYS, EPERM};
use roma_sandbox::step::{Step, StepFailure};

use super::SandboxFailure;

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

/// What runsc prints, and the remedy.
const RUNSC: [(&str, &str); 4] = [
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
];

/// Returns what fixes a failed start of a sandbox.
pub(super) fn on_start(failure: &SandboxFailure) -> Option<&'static str> {
    failure.step.and_then(on_step).or_else(|| {
        let known = RUNSC
            .iter()
            .find(|(text, _)| failure.log_tail.contains(text) || failure.what.contains(text));
        known.map(|(_, advice)| *advice)
    })
}

/// Returns what fixes a failed step of the inner sandbox.
pub(super) fn on_step(failure: StepFailure) -> Option<&'static str> {
    match (failure.step, failure.errno) {
        (Step::Isolate, EPERM) => Some(USER_NAMESPACES),
        (Step::Isolate, ENOSYS) | (Step::Unshare, EPERM) => Some(SECCOMP),
        (Step::Isolate, ENOSPC) => Some(TOO_MANY),
        (Step::Isolate, EACCES) => Some(EXTERNAL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_causes_have_a_remedy_and_others_none() {
        let mut failure = SandboxFailure::new("its program ended");
        assert_eq!(on_start(&failure), None);
        failure.log_tail =
            "re-executing self: fork/exec /proc/self/exe: function not implemented\n".into();
        assert_eq!(on_start(&failure), Some(SECCOMP));
        let step = |step, errno| on_step(StepFailure { step, errno });
        assert!(step(Step::Isolate, ENOSPC).unwrap().contains("raise"));
        assert_eq!(step(Step::Clone, nix::libc::ENOMEM), None);
    }
}
