//! Writes the seeds into a corpus: `cargo run -p roma-fuzzing --bin fuzz_seeds fuzz/corpus`.

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let corpus = std::env::args_os().nth(1).context("which folder?")?;
    let corpus = PathBuf::from(corpus);
    for seed in roma_fuzzing::seeds::all() {
        let path = seed.path(&corpus);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, &seed.bytes).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
