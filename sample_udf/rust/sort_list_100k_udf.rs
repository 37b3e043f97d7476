//! Sorts the list of 100,000 numbers that is part of the binary.

use std::process::ExitCode;

use roma_sample_udf::sort_list::{constant_list, serve};

static LIST: [u32; 100_000] = constant_list();

fn main() -> ExitCode {
    serve(&LIST)
}
