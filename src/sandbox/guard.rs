//! The guards, by name: each of the walls around a UDF that a test has to see fall.
//!
//! In what is shipped all of them stand, and the compiler knows it. Only with the feature `weaken`,
//! which nothing shipped is built with, can one be turned off, so that it shows which attack it stops.

macro_rules! guards {
    ($($guard:ident)*) => {
        /// A guard.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each is named for what it is")]
        pub enum Guard {
            /// Not a guard: what is off as long as none is.
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
    ReadOnlyRoot
    DetachedRoot
    MountFlags
    TmpSize
    ClosedDescriptors
    DeathSignal
    Kill
    PidNamespaceOfPool
    MountNamespaceOfPool
    UtsNamespaceOfPool
    IpcNamespaceOfPool
    NetworkNamespaceOfPool
}

/// Whether a guard stands.
#[cfg(not(feature = "weaken"))]
#[must_use]
#[inline(always)]
pub const fn stands(_: Guard) -> bool {
    true
}

#[cfg(feature = "weaken")]
pub use weakened::{named, stands, turn_off};

#[cfg(feature = "weaken")]
mod weakened {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Guard;

    static OFF: AtomicU8 = AtomicU8::new(u8::MAX);

    /// Whether a guard stands.
    #[must_use]
    pub fn stands(guard: Guard) -> bool {
        OFF.load(Ordering::Relaxed) != guard as u8
    }

    /// Turns a guard off in this process and those forked from it.
    pub fn turn_off(guard: Guard) {
        OFF.store(guard as u8, Ordering::Relaxed);
    }

    /// The guard of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Guard> {
        Guard::ALL
            .iter()
            .copied()
            .find(|guard| format!("{guard:?}") == name)
    }
}
