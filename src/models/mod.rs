//! Networks, one per file; Rust paths equal checkpoint keys.

pub mod checkpoint;
