//! What the page's worker calls; the only folder that names `JsValue`.
//!
//! Decision: a thin class over the pipeline. Numbers, strings, bytes and plain objects cross, as
//! `www/src/engine/contract.ts` promises. Rejected: exporting the pipeline's own types, which would make every rename
//! inside the engine a change of the page.

mod engine;
mod failure;
mod folder;
mod messages;
mod observer;

pub use engine::Engine;
