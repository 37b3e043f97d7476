//! Reports the privileges of the process.

use std::io;
use std::process::ExitCode;

use nix::sys::prctl;
use nix::unistd::{getgid, getuid};
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{PrivilegesResponse, SampleRequest, SampleResponse};
use roma_sample_udf::message::response;

fn main() -> ExitCode {
    roma_udf::try_serve(|_: SampleRequest| -> io::Result<SampleResponse> {
        Ok(response(Outcome::Privileges(privileges()?)))
    })
}

fn privileges() -> io::Result<PrivilegesResponse> {
    let [low, high] = capability_sets()?;
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    Ok(PrivilegesResponse {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
        bounding: capabilities_that(|it| [libc::PR_CAPBSET_READ, it, 0])?,
        ambient: capabilities_that(|it| [libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET, it])?,
        no_new_privileges: prctl::get_no_new_privs()?,
        user_id: getuid().as_raw(),
        group_id: getgid().as_raw(),
        process_id: std::process::id(),
    })
}

/// The kernel's `__user_cap_header_struct`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    process: libc::c_int,
}

/// The kernel's `__user_cap_data_struct`: 32 capabilities of each set.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The version of the call with 64 bits in each set.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

#[allow(unsafe_code)]
fn capability_sets() -> io::Result<[CapabilitySets; 2]> {
    let mut header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        process: 0,
    };
    let mut sets = [CapabilitySets::default(); 2];
    // SAFETY: both pointers are valid for the call, and this version writes two sets.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    match result {
        0 => Ok(sets),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Queries each capability until the kernel does not know the next one.
fn capabilities_that(question: impl Fn(i32) -> [i32; 3]) -> io::Result<u64> {
    let mut set = 0;
    for capability in 0..64 {
        match ask(question(capability)) {
            Ok(answer) => set |= u64::from(answer) << capability,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(set)
}

#[allow(unsafe_code)]
fn ask([option, second, third]: [i32; 3]) -> io::Result<bool> {
    let wide = |number: i32| number as libc::c_ulong;
    // SAFETY: with the options used here the arguments are plain numbers.
    match unsafe { libc::prctl(option, wide(second), wide(third), 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer == 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's value, in hexadecimal.
    fn status(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim_start_matches(':').trim(), 16).unwrap()
    }

    #[test]
    fn the_kernel_agrees() {
        let privileges = privileges().unwrap();
        assert_eq!(privileges.effective, status("CapEff"));
        assert_eq!(privileges.permitted, status("CapPrm"));
        assert_eq!(privileges.inheritable, status("CapInh"));
        assert_eq!(privileges.bounding, status("CapBnd"));
        assert_eq!(privileges.ambient, status("CapAmb"));
        assert_eq!(
            u64::from(privileges.no_new_privileges),
            status("NoNewPrivs")
        );
    }
}
