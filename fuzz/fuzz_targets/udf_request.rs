#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| roma_fuzzing::udf_request::run(input));
