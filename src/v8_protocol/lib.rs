//! The messages between the engine for JavaScript and its workers: protobuf, each with its length in front.
//!
//! The worker reads one message at a time: a [`Load`] is answered by a [`Loaded`], a [`Call`] by any number of
//! [`Line`]s and [`HostCall`]s, each of these by an [`Answer`], and at the end by an [`Ended`]. The engine trusts
//! nothing that comes from a worker.

use prost::{Message, Oneof};

/// A message to a worker.
#[derive(Clone, PartialEq, Message)]
pub struct ToWorker {
    /// What it is.
    #[prost(oneof = "to_worker::Body", tags = "1, 2, 3")]
    pub body: Option<to_worker::Body>,
}

/// What a message to a worker is.
pub mod to_worker {
    use super::{Answer, Call, Load, Oneof};

    /// What it is.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Body {
        /// Code to load.
        #[prost(message, tag = "1")]
        Load(Load),
        /// A request.
        #[prost(message, tag = "2")]
        Call(Call),
        /// The answer of a host function.
        #[prost(message, tag = "3")]
        Answer(Answer),
    }
}

/// Code to load. Code of the same number is replaced.
#[derive(Clone, PartialEq, Message)]
pub struct Load {
    /// The number by which calls name it.
    #[prost(uint64, tag = "1")]
    pub code: u64,
    /// JavaScript. Empty for a module alone.
    #[prost(string, tag = "2")]
    pub script: String,
    /// WebAssembly: a module, or bytes for the script.
    #[prost(bytes = "vec", tag = "3")]
    pub wasm: Vec<u8>,
    /// The global that the script finds the bytes in.
    #[prost(string, tag = "4")]
    pub wasm_name: String,
    /// The names of host functions, which may have dots.
    #[prost(string, repeated, tag = "5")]
    pub functions: Vec<String>,
    /// The limit of the heap in bytes, or 0 for V8's own.
    #[prost(uint64, tag = "6")]
    pub heap: u64,
    /// The limit of array buffers in bytes, or 0 for none.
    #[prost(uint64, tag = "7")]
    pub array_buffers: u64,
    /// How long it may take.
    #[prost(uint64, tag = "8")]
    pub deadline_micros: u64,
}

/// A request.
#[derive(Clone, PartialEq, Message)]
pub struct Call {
    /// The number of the code.
    #[prost(uint64, tag = "1")]
    pub code: u64,
    /// The function to call.
    #[prost(string, tag = "2")]
    pub handler: String,
    /// Its arguments: JSON, or bytes.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub inputs: Vec<Vec<u8>>,
    /// Whether there is one argument, which is bytes.
    #[prost(bool, tag = "4")]
    pub as_bytes: bool,
    /// The least severity of the lines that are wanted.
    #[prost(uint32, tag = "5")]
    pub least_severity: u32,
    /// How long it may take.
    #[prost(uint64, tag = "6")]
    pub deadline_micros: u64,
}

/// The answer of a host function.
#[derive(Clone, PartialEq, Message)]
pub struct Answer {
    /// Whether the call succeeded. If not, the bytes are the text of the exception.
    #[prost(bool, tag = "1")]
    pub ok: bool,
    /// What the bytes are.
    #[prost(enumeration = "Kind", tag = "2")]
    pub kind: i32,
    /// The result.
    #[prost(bytes = "vec", tag = "3")]
    pub bytes: Vec<u8>,
}

/// A message from a worker.
#[derive(Clone, PartialEq, Message)]
pub struct FromWorker {
    /// What it is.
    #[prost(oneof = "from_worker::Body", tags = "1, 2, 3, 4")]
    pub body: Option<from_worker::Body>,
}

/// What a message from a worker is.
pub mod from_worker {
    use super::{Ended, HostCall, Line, Loaded, Oneof};

    /// What it is.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Body {
        /// How a load ended.
        #[prost(message, tag = "1")]
        Loaded(Loaded),
        /// How a call ended.
        #[prost(message, tag = "2")]
        Ended(Ended),
        /// A call of a host function.
        #[prost(message, tag = "3")]
        HostCall(HostCall),
        /// A line of output.
        #[prost(message, tag = "4")]
        Line(Line),
    }
}

/// How a load ended.
#[derive(Clone, PartialEq, Message)]
pub struct Loaded {
    /// Why it failed, if it did.
    #[prost(enumeration = "Cause", tag = "1")]
    pub cause: i32,
    /// What the code says of it.
    #[prost(string, tag = "2")]
    pub text: String,
}

/// How a call ended.
#[derive(Clone, PartialEq, Message)]
pub struct Ended {
    /// Why it failed, if it did.
    #[prost(enumeration = "Cause", tag = "1")]
    pub cause: i32,
    /// What the code says of it.
    #[prost(string, tag = "2")]
    pub text: String,
    /// What the result is.
    #[prost(enumeration = "Kind", tag = "3")]
    pub kind: i32,
    /// The result.
    #[prost(bytes = "vec", tag = "4")]
    pub bytes: Vec<u8>,
    /// The most that the heap held, in bytes.
    #[prost(uint64, tag = "5")]
    pub heap: u64,
}

/// A call of a host function.
#[derive(Clone, PartialEq, Message)]
pub struct HostCall {
    /// The function.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What the argument is.
    #[prost(enumeration = "Kind", tag = "2")]
    pub kind: i32,
    /// The argument.
    #[prost(bytes = "vec", tag = "3")]
    pub bytes: Vec<u8>,
}

/// A line of output.
#[derive(Clone, PartialEq, Message)]
pub struct Line {
    /// 0 for information, 1 for a warning, 2 for an error.
    #[prost(uint32, tag = "1")]
    pub severity: u32,
    /// The line.
    #[prost(string, tag = "2")]
    pub text: String,
}

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// A text.
    Text = 0,
    /// Bytes.
    Bytes = 1,
    /// JSON.
    Json = 2,
}

/// Why a load or a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Cause {
    /// It did not fail.
    None = 0,
    /// The code is not a program.
    NotCompiled = 1,
    /// It threw an exception.
    Threw = 2,
    /// It took too long.
    Deadline = 3,
    /// It reached the limit of its heap.
    OutOfMemory = 4,
    /// Its result is a promise that never settles.
    NeverSettles = 5,
    /// It has no such handler.
    NoHandler = 6,
    /// An input is not JSON.
    InputNotJson = 7,
    /// Its result cannot be converted.
    NoResult = 8,
    /// The worker does not have the code (any more).
    NotLoaded = 9,
}
