//! File headers to names, shapes and byte ranges; no I/O.
//!
//! Decision: a parser gets the bytes of a header and the length of the file, and answers with absolute byte ranges, so
//! that any reader serves and a parser can be attacked without a disk. Rejected: parsers that read on their own.

pub mod aliases;
pub mod gguf;
pub mod index;
pub mod json;
pub mod ldm;
pub mod model_index;
pub mod safetensors;
