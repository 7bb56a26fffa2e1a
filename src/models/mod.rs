//! Networks, one per file; Rust paths equal checkpoint keys.

pub mod checkpoint;
pub mod clip;
pub mod config;
pub mod loader;
pub mod precision;
mod resnet;
pub mod stored;
mod transformer_2d;
pub mod unet;
pub mod vae;
