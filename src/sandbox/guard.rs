//! The guards of the sandbox, by name. Tests disable each of them to show which attack it stops.
//!
//! In the shipped programs all guards are enabled, as a constant. Only the feature `weaken`, which no
//! shipped program is built with, allows disabling one.

macro_rules! guards {
    ($($guard:ident)*) => {
        /// A guard.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum Guard {
            $($guard),*
        }

        #[cfg(feature = "weaken")]
        impl Guard {
            const ALL: &[Self] = &[$(Self::$guard),*];
        }
    };
}

guards! {
    PidNamespace
    MountNamespace
    UtsNamespace
    IpcNamespace
    UserNamespace
    NetworkNamespace
    DroppedCapabilities
    NoNewPrivileges
    Filter
    FilterOfSandbox
    FilterOfIdentity
    FilterOfProcesses
    FilterOfKernelDoors
    FilterOfMachine
    FilterOfMeetingPlaces
    FilterOfArguments
    FilterOfStrictLevel
    LimitOfAddresses
    LimitOfData
    LimitOfTime
    LimitOfProcesses
    LimitOfDescriptors
    LimitOfStack
    LimitOfFileSize
    LimitOfCore
    LimitOfSignals
    ReadOnlyRoot
    DetachedRoot
    OwnRoot
    MountFlags
    TmpSize
    ClosedDescriptors
    DeathSignal
    ProcessGroup
    SessionKeyring
    Kill
    PidNamespaceOfPool
    MountNamespaceOfPool
    UtsNamespaceOfPool
    IpcNamespaceOfPool
    NetworkNamespaceOfPool
}

/// Returns whether a guard is enabled.
#[cfg(not(feature = "weaken"))]
#[must_use]
#[inline(always)]
pub const fn is_enabled(_: Guard) -> bool {
    true
}

#[cfg(feature = "weaken")]
pub use weakened::{disable, is_enabled, named};

#[cfg(feature = "weaken")]
mod weakened {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Guard;

    static DISABLED: AtomicU8 = AtomicU8::new(u8::MAX);

    /// Returns whether a guard is enabled.
    #[must_use]
    pub fn is_enabled(guard: Guard) -> bool {
        DISABLED.load(Ordering::Relaxed) != guard as u8
    }

    /// Disables a guard in this process and those forked from it. Enables any other.
    pub fn disable(guard: Guard) {
        DISABLED.store(guard as u8, Ordering::Relaxed);
    }

    /// Returns the guard of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Guard> {
        Guard::ALL
            .iter()
            .copied()
            .find(|guard| format!("{guard:?}") == name)
    }
}
