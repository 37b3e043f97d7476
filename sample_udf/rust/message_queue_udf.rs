//! Tries to pass a message to another process over a System V message queue.

use std::io;
use std::process::ExitCode;

use roma_sample_proto::roma::sample::message_queue_request::Operation;
use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{MessageQueueResponse, SampleRequest, SampleResponse};
use roma_sample_udf::message::{Unanswerable, response};

/// The key of the queue.
const KEY: libc::key_t = i32::from_be_bytes(*b"roma");

/// The length limit of a text in bytes.
const CAPACITY: usize = 1024;

fn main() -> ExitCode {
    roma_udf::try_serve(answer)
}

fn answer(request: SampleRequest) -> Result<SampleResponse, Unanswerable> {
    let Some(Task::MessageQueue(request)) = request.task else {
        return Err(Unanswerable);
    };
    let outcome = match request.operation {
        Some(Operation::Send(text)) => send(&Message::new(&text)?, text.len()),
        Some(Operation::Receive(_)) => receive(),
        None => return Err(Unanswerable),
    };
    Ok(response(Outcome::MessageQueue(outcome)))
}

fn send(message: &Message, length: usize) -> MessageQueueResponse {
    match open(libc::IPC_CREAT | 0o600) {
        Ok(queue) => transferred(message.send_to(queue, length).map(|()| None)),
        Err(error) => not_opened(&error),
    }
}

fn receive() -> MessageQueueResponse {
    match open(0) {
        Ok(queue) => transferred(Message::receive_from(queue).map(Some)),
        Err(error) => not_opened(&error),
    }
}

fn not_opened(error: &io::Error) -> MessageQueueResponse {
    MessageQueueResponse {
        open_error_number: error.raw_os_error().unwrap_or_default(),
        ..Default::default()
    }
}

fn transferred(result: io::Result<Option<String>>) -> MessageQueueResponse {
    match result {
        Ok(received) => MessageQueueResponse {
            received,
            ..Default::default()
        },
        Err(error) => MessageQueueResponse {
            transfer_error_number: error.raw_os_error().unwrap_or_default(),
            ..Default::default()
        },
    }
}

#[allow(unsafe_code)]
fn open(flags: i32) -> io::Result<i32> {
    // SAFETY: the arguments are plain numbers.
    match unsafe { libc::msgget(KEY, flags) } {
        -1 => Err(io::Error::last_os_error()),
        queue => Ok(queue),
    }
}

/// The kernel's `msgbuf`.
#[repr(C)]
struct Message {
    kind: libc::c_long,
    text: [u8; CAPACITY],
}

impl Message {
    fn new(text: &str) -> Result<Self, Unanswerable> {
        let mut message = Message {
            kind: 1,
            text: [0; CAPACITY],
        };
        let start = message.text.get_mut(..text.len()).ok_or(Unanswerable)?;
        start.copy_from_slice(text.as_bytes());
        Ok(message)
    }

    #[allow(unsafe_code)]
    fn send_to(&self, queue: i32, length: usize) -> io::Result<()> {
        let message: *const Self = self;
        let length = length.min(CAPACITY);
        // SAFETY: the pointer is to a kind followed by at least `length` bytes.
        match unsafe { libc::msgsnd(queue, message.cast(), length, libc::IPC_NOWAIT) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    #[allow(unsafe_code)]
    fn receive_from(queue: i32) -> io::Result<String> {
        let mut message = Message {
            kind: 0,
            text: [0; CAPACITY],
        };
        let buffer = &raw mut message;
        // SAFETY: the pointer is to a kind followed by CAPACITY bytes.
        let length = unsafe { libc::msgrcv(queue, buffer.cast(), CAPACITY, 0, libc::IPC_NOWAIT) };
        match usize::try_from(length) {
            Ok(length) => Ok(String::from_utf8_lossy(&message.text[..length]).into_owned()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue that no other process can find. Removed on drop.
    struct PrivateQueue(i32);

    impl PrivateQueue {
        #[allow(unsafe_code)]
        fn new() -> Self {
            // SAFETY: the arguments are plain numbers.
            PrivateQueue(unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) })
        }
    }

    impl Drop for PrivateQueue {
        #[allow(unsafe_code)]
        fn drop(&mut self) {
            // SAFETY: this command uses no buffer.
            unsafe { libc::msgctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }

    #[test]
    fn a_sent_text_is_received_once() {
        let queue = PrivateQueue::new();
        let message = Message::new("hello").unwrap();
        message.send_to(queue.0, 5).unwrap();
        assert_eq!(Message::receive_from(queue.0).unwrap(), "hello");
        let error = Message::receive_from(queue.0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOMSG));
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        assert!(Message::new(&"x".repeat(CAPACITY)).is_ok());
        assert!(Message::new(&"x".repeat(CAPACITY + 1)).is_err());
    }
}
