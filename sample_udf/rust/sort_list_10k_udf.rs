//! Sorts the list of 10,000 numbers that is part of the binary.

use std::process::ExitCode;

use roma_sample_udf::sort_list::{constant_list, serve};

static LIST: [u32; 10_000] = constant_list();

fn main() -> ExitCode {
    serve(&LIST)
}
