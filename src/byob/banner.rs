//! What is said, loudly, when untrusted code runs without gVisor.

/// Printed once, when a service starts without an outer sandbox.
pub(crate) const GVISOR_DISABLED: &str = "\
╔══════════════════════════════════════════════════════════════════════════════╗
║                                                                              ║
║  ⚠️  ⚠️  ⚠️   SECURITY WARNING: gVisor is DISABLED   ⚠️  ⚠️  ⚠️            ║
║                                                                              ║
║  Code execution is NOT sandboxed with hardware virtualization!              ║
║  User code can potentially:                                                 ║
║    - Access the host kernel                                                 ║
║    - Exploit kernel vulnerabilities                                         ║
║    - Perform timing attacks                                                 ║
║                                                                              ║
║  DO NOT USE IN PRODUCTION!                                                  ║
╚══════════════════════════════════════════════════════════════════════════════╝";

/// Logged for each execution without gVisor.
pub(crate) const EXECUTION_WARNING: &str =
    "⚠️  WARNING: gVisor is DISABLED - execution is NOT sandboxed!";

/// Logged once when gVisor is on.
pub(crate) const GVISOR_ENABLED: &str = "✓ gVisor sandboxing: ENABLED";

/// The environment variable that turns gVisor off.
pub(crate) const DISABLE_VARIABLE: &str = "DISABLE_GVISOR";

/// Whether the environment asks for no gVisor. Only an unmistakable yes counts.
pub(crate) fn gvisor_disabled_by(value: Option<&str>) -> bool {
    value.is_some_and(|v| v.eq_ignore_ascii_case("true") || v == "1")
}

#[cfg(test)]
mod tests {
    use super::gvisor_disabled_by;

    #[test]
    fn only_a_clear_yes_disables_gvisor() {
        for yes in ["true", "TRUE", "1"] {
            assert!(gvisor_disabled_by(Some(yes)), "{yes}");
        }
        for no in ["", "false", "0", "yes please"] {
            assert!(!gvisor_disabled_by(Some(no)), "{no}");
        }
        assert!(!gvisor_disabled_by(None));
    }
}
