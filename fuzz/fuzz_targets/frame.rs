#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| roma_fuzzing::frame::run(input));
