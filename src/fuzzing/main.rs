//! Writes the seeds into a corpus: `cargo run -p roma-fuzzing --bin fuzz_seeds fuzz/corpus`.

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let corpus = std::env::args_os()
        .nth(1)
        .context("the first argument must be the folder of the corpus")?;
    let corpus = PathBuf::from(corpus);
    for seed in roma_fuzzing::seeds::all() {
        let path = seed.path(&corpus);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, &seed.bytes)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
