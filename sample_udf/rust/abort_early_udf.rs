//! Crashes before it is ready.

fn main() {
    std::process::abort();
}
