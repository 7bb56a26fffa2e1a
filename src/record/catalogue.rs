//! The kernel catalogue: every variant of every shader, as `build.rs` expanded, validated and reflected it.
//!
//! Decision: variants are expanded at build time from `shaders/variants.toml` (WESL's `@if` and imports), so that what
//! a browser compiles was validated before it shipped and the parameter structs cannot drift from the shaders.
//! Rejected: string templates at run time, whose errors appear first on a visitor's device.

use crate::error::{Error, ErrorKind, Result};

/// How a kernel uses a storage binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingAccess {
    Read,
    ReadWrite,
}

/// One storage binding; the uniform parameters at `@binding(0)` are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingInfo {
    pub name: &'static str,
    pub access: BindingAccess,
}

/// A shader with its conditions resolved.
#[derive(Debug, PartialEq, Eq)]
pub struct KernelVariant {
    /// Kernel and features, e.g. `matmul.activations_f16.weights_q8_0.tile_64`.
    pub name: &'static str,
    /// The kernel: the shader's file name and its twin's module in `reference`.
    pub kernel: &'static str,
    pub features: &'static [&'static str],
    pub wgsl: &'static str,
    /// The compute entry point.
    pub entry: &'static str,
    pub workgroup_size: u32,
    /// Bytes of `var<workgroup>`.
    pub shared_bytes: u32,
    pub parameter_bytes: u32,
    /// Storage bindings in order from `@binding(1)`.
    pub bindings: &'static [BindingInfo],
    pub needs_f16: bool,
    pub needs_subgroups: bool,
}

impl KernelVariant {
    pub fn has(&self, feature: &str) -> bool {
        self.features.contains(&feature)
    }
}

mod generated {
    include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));
}

/// The uniform parameter structs, one module per kernel, reflected from the shaders.
pub use generated::parameters;

/// All variants, sorted by name.
pub fn variants() -> &'static [KernelVariant] {
    generated::VARIANTS
}

/// The variant of `kernel` that has exactly these features (in any order).
pub fn find(kernel: &str, features: &[&str]) -> Result<&'static KernelVariant> {
    generated::VARIANTS
        .iter()
        .find(|variant| {
            variant.kernel == kernel
                && variant.features.len() == features.len()
                && features.iter().all(|feature| variant.has(feature))
        })
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("no variant of kernel {kernel} with {features:?}")))
}
