//! The project's build tool; see `cargo xtask help`.

fn main() {}
