//! Where the reference data lies: `DARKROOM_GOLDEN`, else `../shared/golden` beside the repository.

use std::path::PathBuf;

/// A file or folder of the reference data; fails where it is absent, so that no test passes for lack of it.
pub fn golden(path: &str) -> PathBuf {
    let root = std::env::var_os("DARKROOM_GOLDEN")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/golden")), PathBuf::from);
    let full = root.join(path);
    assert!(full.exists(), "no reference data at {}; set DARKROOM_GOLDEN", full.display());
    full
}
