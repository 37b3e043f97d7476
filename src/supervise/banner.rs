//! Warnings that untrusted code runs without gVisor.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::options::Mode;
use crate::outer::OuterConfig;

/// Printed once, when a service starts without an outer sandbox.
pub const GVISOR_DISABLED: &str = "\
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

/// Logged for executions without gVisor.
pub const EXECUTION_WARNING: &str = "⚠️  WARNING: gVisor is DISABLED - execution is NOT sandboxed!";

/// How many executions are each warned of before warnings become rarer.
const ALWAYS_WARNED_OF: u64 = 4;

/// Warns of the first few executions without gVisor, then of those whose number is a power of two.
pub fn warn_of_execution() {
    static EXECUTIONS: AtomicU64 = AtomicU64::new(0);
    let number = EXECUTIONS.fetch_add(1, Ordering::Relaxed) + 1;
    if is_warned_of(number) {
        tracing::warn!(executions = number, "{EXECUTION_WARNING}");
    }
}

/// Says, when a service starts, what encloses its code. `banner` is whether the lack of gVisor is worth a banner
/// on standard error.
pub fn announce(config: &OuterConfig, banner: bool) {
    match config.mode {
        Mode::Gvisor | Mode::GvisorDebug => tracing::info!(
            runsc = %config.runsc.path.display(),
            version = config.runsc.version,
            platform = %config.platform,
            "{GVISOR_ENABLED}"
        ),
        Mode::External => tracing::info!("the outer sandbox is not this service's own"),
        Mode::Minimal => {
            if banner {
                eprintln!("{GVISOR_DISABLED}");
            }
            tracing::warn!("{EXECUTION_WARNING}");
        }
    }
}

fn is_warned_of(number: u64) -> bool {
    number <= ALWAYS_WARNED_OF || number.is_power_of_two()
}

/// Logged once when gVisor is on.
pub const GVISOR_ENABLED: &str = "✓ gVisor sandboxing: ENABLED";

/// The environment variable that turns gVisor off.
pub const DISABLE_VARIABLE: &str = "DISABLE_GVISOR";

/// Returns whether the value of [`DISABLE_VARIABLE`] turns gVisor off.
#[must_use]
pub fn gvisor_disabled_by(value: Option<&str>) -> bool {
    value.is_some_and(|v| v.eq_ignore_ascii_case("true") || v == "1")
}

#[cfg(test)]
mod tests {
    use super::{gvisor_disabled_by, is_warned_of};

    #[test]
    fn warnings_become_rarer_and_never_stop() {
        let warned: Vec<u64> = (1..=70).filter(|number| is_warned_of(*number)).collect();
        assert_eq!(warned, [1, 2, 3, 4, 8, 16, 32, 64]);
    }

    #[test]
    fn only_true_or_1_disables_gvisor() {
        for yes in ["true", "TRUE", "1"] {
            assert!(gvisor_disabled_by(Some(yes)), "{yes}");
        }
        for no in ["", "false", "0", "yes please"] {
            assert!(!gvisor_disabled_by(Some(no)), "{no}");
        }
        assert!(!gvisor_disabled_by(None));
    }
}
