//! Darkroom runs diffusion pipelines on the GPU of whoever opens the page.
//!
//! ```text
//! prompt ─ text ─ models::clip ─┐
//!                               ├─ sampler ⇄ models::unet ─ models::vae ─ picture
//! noise ─ sampler::noise ───────┘
//! weights: URL / file ─ source ─ formats ─ quant ─ GPU buffers
//! work:    nn ─ ops ─ record (plain data) ─ plan ─ gpu (wgpu)  or  reference (CPU)
//! ```
//!
//! Imports go downward only, in the order of the table in `ARCHITECTURE.md`; `tests/layering.rs` enforces it.

pub mod error;
pub mod tensor;
