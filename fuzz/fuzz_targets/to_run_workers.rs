#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| roma_fuzzing::control::to_run_workers(input));
