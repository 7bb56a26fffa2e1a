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
//! Imports go downward only, in the order of the table in `ARCHITECTURE.md`; `tests/cpu/layering.rs` enforces it.

pub mod error;
pub mod formats;
pub mod gpu;
pub mod models;
pub mod nn;
pub mod ops;
pub mod pipeline;
pub mod quant;
pub mod record;
pub mod reference;
pub mod sampler;
pub mod source;
pub mod tensor;
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod web;
