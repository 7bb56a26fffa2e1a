//! The story in numbered steps: text to image; progress, cancel, memory plan.

mod latents;
pub mod observer;
pub mod plan;
mod preview;
mod programs;
pub mod settings;
pub mod stable_diffusion;
mod tiling;
pub mod txt2img;
