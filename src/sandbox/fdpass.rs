//! Packets with descriptors attached, over `SOCK_SEQPACKET` socket pairs.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::gate::Gate;

/// Maximum number of descriptors in one packet (the kernel's own maximum is 253).
pub const MAX_DESCRIPTORS: usize = 80;

// SAFETY: CMSG_SPACE only computes with its argument.
const CONTROL_BYTES: usize =
    unsafe { libc::CMSG_SPACE((MAX_DESCRIPTORS * size_of::<RawFd>()) as u32) } as usize;

/// The alignment that control messages need.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CONTROL_BYTES]);

/// Creates a connected pair of packet sockets, both close-on-exec.
pub fn packet_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
}

/// A received packet.
#[derive(Debug)]
pub struct Packet {
    /// Number of bytes of the buffer that it fills. 0 is the end of the connection.
    pub bytes: usize,
    /// The descriptors attached, in order; close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

/// Receives one packet. Fails with `EMSGSIZE` if the packet does not fit the buffer or has more than
/// [`MAX_DESCRIPTORS`] attached; its descriptors are closed.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], gate: Gate) -> Result<Packet, Errno> {
    let mut control = Control([MaybeUninit::uninit(); CONTROL_BYTES]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: all bytes zero is a valid msghdr: null pointers with lengths of zero.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: the message describes `buffer` and `control`, which outlive the call. The kernel
    // ignores the arguments from the fourth on; the last is for the filter.
    let count = Errno::result(unsafe {
        libc::syscall(
            libc::SYS_recvmsg,
            socket.as_raw_fd(),
            &raw mut message,
            libc::MSG_CMSG_CLOEXEC,
            0,
            0,
            gate.secret(),
        )
    })?;
    // SAFETY: the kernel has just filled `message` and what it points to.
    let descriptors = unsafe { take_descriptors(&message) };
    if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(Errno::EMSGSIZE);
    }
    Ok(Packet {
        bytes: count as usize,
        descriptors,
    })
}

/// Sends one packet with descriptors attached. Never raises SIGPIPE.
pub fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let raw: Vec<RawFd> = descriptors.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[] } else { &rights[..] };
    let part = [std::io::IoSlice::new(bytes)];
    sendmsg::<()>(
        socket.as_raw_fd(),
        &part,
        control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .map(drop)
}

/// # Safety
///
/// `message` must have been filled by `recvmsg`, its control buffer must be live, and this must be
/// the only call for it: the descriptors become owned.
unsafe fn take_descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut taken = Vec::new();
    // SAFETY: by this function's contract the header describes a live control buffer.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: a header that is not null lies within the control buffer.
    while let Some(entry) = unsafe { header.as_ref() } {
        if entry.cmsg_level == libc::SOL_SOCKET && entry.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: CMSG_LEN only computes with its argument.
            let bytes = entry.cmsg_len - unsafe { libc::CMSG_LEN(0) } as usize;
            // SAFETY: `header` points to a whole control message.
            let first = unsafe { libc::CMSG_DATA(header) }.cast::<RawFd>();
            for index in 0..bytes / size_of::<RawFd>() {
                // SAFETY: the kernel wrote this many descriptors after the header and has just created
                // them for this process, so nothing else owns them.
                taken.push(unsafe { OwnedFd::from_raw_fd(first.add(index).read_unaligned()) });
            }
        }
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    taken
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::IntoRawFd;

    use super::*;

    /// Returns a control message as the kernel writes it.
    fn entry(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let length = size_of::<libc::cmsghdr>() + data.len();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend([level.to_ne_bytes(), kind.to_ne_bytes()].concat());
        bytes.extend(data);
        bytes.resize(length.next_multiple_of(size_of::<usize>()), 0);
        bytes
    }

    fn rights(count: usize) -> (Vec<RawFd>, Vec<u8>) {
        let open = |_| File::open("/dev/null").unwrap().into_raw_fd();
        let raw: Vec<RawFd> = (0..count).map(open).collect();
        let data: Vec<u8> = raw.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
        (raw, entry(libc::SOL_SOCKET, libc::SCM_RIGHTS, &data))
    }

    fn taken(bytes: &[u8]) -> Vec<RawFd> {
        let mut control = Control([MaybeUninit::uninit(); CONTROL_BYTES]);
        for (slot, byte) in control.0.iter_mut().zip(bytes) {
            slot.write(*byte);
        }
        // SAFETY: all bytes zero is a valid msghdr.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = bytes.len() as _;
        // SAFETY: the message is as `recvmsg` would have filled it, its buffer is live, nothing else
        // owns its descriptors, and this is the only call.
        let descriptors = unsafe { take_descriptors(&message) };
        descriptors.iter().map(AsRawFd::as_raw_fd).collect()
    }

    #[test]
    fn descriptors_are_in_order_up_to_the_last_byte_of_the_buffer() {
        for count in [0, 1, 2, 3, MAX_DESCRIPTORS] {
            let (raw, bytes) = rights(count);
            assert!(bytes.len() <= CONTROL_BYTES);
            assert_eq!(taken(&bytes), raw);
        }
    }

    #[test]
    fn descriptors_of_several_messages_are_taken_and_other_messages_skipped() {
        let (first, one) = rights(1);
        let (second, two) = rights(3);
        let credentials = entry(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[7; 12]);
        let both = [one, credentials, two].concat();
        assert_eq!(taken(&both), [first, second].concat());
        assert!(taken(&[]).is_empty());
    }
}
