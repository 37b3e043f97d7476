//! Sorts the list of 1,000,000 numbers that is part of the binary.

use std::process::ExitCode;

use roma_sample_udf::sort_list::{constant_list, serve};

#[allow(long_running_const_eval)] // A million steps take a second or two.
static LIST: [u32; 1_000_000] = constant_list();

fn main() -> ExitCode {
    serve(&LIST)
}
