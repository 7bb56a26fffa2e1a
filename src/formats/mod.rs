//! File headers to names, shapes and byte ranges; no I/O.
