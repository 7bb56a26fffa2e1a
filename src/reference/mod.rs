//! The CPU executor: one twin per kernel, same name, written to be read beside the WGSL.
