//! The parts of the sample UDFs' API that these tests use.

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub struct Echo {
    #[prost(bytes = "vec", tag = "1")]
    pub message: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(oneof = "Task", tags = "1, 2, 6, 7, 9, 10, 11, 12, 13, 14")]
    pub task: Option<Task>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Task {
    #[prost(message, tag = "1")]
    Hello(Empty),
    #[prost(message, tag = "2")]
    Sieve(Sieve),
    #[prost(message, tag = "6")]
    PayloadWrite(PayloadWrite),
    #[prost(message, tag = "7")]
    Log(Log),
    #[prost(message, tag = "9")]
    Privileges(Empty),
    #[prost(message, tag = "10")]
    Descriptors(Empty),
    #[prost(message, tag = "11")]
    Sockets(Empty),
    #[prost(message, tag = "12")]
    FileSystem(Empty),
    #[prost(message, tag = "13")]
    Queue(Queue),
    #[prost(message, tag = "14")]
    Syscalls(Empty),
}

#[derive(Clone, PartialEq, Message)]
pub struct Sieve {
    #[prost(uint32, tag = "1")]
    pub up_to: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct PayloadWrite {
    #[prost(uint64, tag = "1")]
    pub element_size: u64,
    #[prost(uint64, tag = "2")]
    pub element_count: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Log {
    #[prost(string, tag = "1")]
    pub standard_output: String,
    #[prost(string, tag = "2")]
    pub standard_error: String,
    #[prost(string, tag = "3")]
    pub standard_error_after_response: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Queue {
    #[prost(oneof = "QueueOperation", tags = "1, 2")]
    pub operation: Option<QueueOperation>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum QueueOperation {
    #[prost(string, tag = "1")]
    Send(String),
    #[prost(message, tag = "2")]
    Receive(Empty),
}

#[derive(Clone, PartialEq, Message)]
pub struct Response {
    #[prost(oneof = "Outcome", tags = "1, 2, 6, 9, 10, 11, 12, 13, 14")]
    pub outcome: Option<Outcome>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Outcome {
    #[prost(message, tag = "1")]
    Hello(Greeting),
    #[prost(message, tag = "2")]
    Sieve(Primes),
    #[prost(message, tag = "6")]
    Payloads(Payloads),
    #[prost(message, tag = "9")]
    Privileges(Privileges),
    #[prost(message, tag = "10")]
    Descriptors(Descriptors),
    #[prost(message, tag = "11")]
    Sockets(Sockets),
    #[prost(message, tag = "12")]
    FileSystem(Changes),
    #[prost(message, tag = "13")]
    Queue(QueueOutcome),
    #[prost(message, tag = "14")]
    Syscalls(Syscalls),
}

#[derive(Clone, PartialEq, Message)]
pub struct Greeting {
    #[prost(string, tag = "1")]
    pub greeting: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Primes {
    #[prost(uint32, tag = "1")]
    pub prime_count: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Payloads {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub payloads: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Privileges {
    #[prost(fixed64, tag = "1")]
    pub effective: u64,
    #[prost(fixed64, tag = "2")]
    pub permitted: u64,
    #[prost(fixed64, tag = "3")]
    pub inheritable: u64,
    #[prost(fixed64, tag = "4")]
    pub bounding: u64,
    #[prost(fixed64, tag = "5")]
    pub ambient: u64,
    #[prost(bool, tag = "6")]
    pub no_new_privileges: bool,
    #[prost(uint32, tag = "9")]
    pub process_id: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Descriptors {
    #[prost(message, repeated, tag = "1")]
    pub descriptors: Vec<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Descriptor {
    #[prost(int32, tag = "1")]
    pub number: i32,
    #[prost(int32, tag = "2")]
    pub kind: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Sockets {
    #[prost(string, repeated, tag = "1")]
    pub sockets: Vec<String>,
    #[prost(uint64, tag = "2")]
    pub visited: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Changes {
    #[prost(string, repeated, tag = "1")]
    pub changed: Vec<String>,
    #[prost(map = "int32, uint64", tag = "2")]
    pub refused: std::collections::HashMap<i32, u64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct QueueOutcome {
    #[prost(int32, tag = "1")]
    pub open_error: i32,
    #[prost(int32, tag = "2")]
    pub transfer_error: i32,
    #[prost(string, optional, tag = "3")]
    pub received: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Syscalls {
    #[prost(message, repeated, tag = "1")]
    pub outcomes: Vec<SyscallOutcome>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SyscallOutcome {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int32, tag = "2")]
    pub error: i32,
}

/// A request for one task, as bytes.
pub fn request(task: Task) -> Vec<u8> {
    Request { task: Some(task) }.encode_to_vec()
}

/// The outcome in a response.
pub fn outcome(response: &[u8]) -> Outcome {
    Response::decode(response)
        .unwrap()
        .outcome
        .expect("an outcome")
}

/// The greeting in a response.
pub fn greeting(response: &[u8]) -> String {
    match outcome(response) {
        Outcome::Hello(hello) => hello.greeting,
        other => panic!("no greeting: {other:?}"),
    }
}

pub fn hello() -> Vec<u8> {
    request(Task::Hello(Empty {}))
}
