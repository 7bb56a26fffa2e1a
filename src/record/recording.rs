//! The data of a recording: virtual buffers and the dispatches that use them, in order.

use crate::error::{Error, ErrorKind, Result};
use crate::record::catalogue::KernelVariant;
use crate::record::executor::Resident;

/// Index of a virtual buffer within its recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// A buffer that lives on the executor beyond one recording: weights, latents, keys and values of the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResidentId(pub u32);

/// Where a virtual buffer's bytes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Exists only between its first and last dispatch; the planner gives it a slot.
    Transient,
    /// Created and owned outside the recording.
    Resident(ResidentId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualBuffer {
    /// What it holds, for reports and error messages.
    pub label: &'static str,
    /// Size in bytes, a multiple of 4.
    pub bytes: u64,
    pub storage: Storage,
}

/// What one storage binding of a dispatch refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    Buffer(BufferId),
    /// An optional operand that this dispatch does not use: the executor binds 256 bytes of zeros.
    Absent,
}

/// One kernel launch. Storage bindings follow the order of `@binding(1)…` in the shader; `@binding(0)` is `parameters`.
#[derive(Clone, Debug)]
pub struct Dispatch {
    pub variant: &'static KernelVariant,
    pub bindings: Vec<Binding>,
    /// The bytes of the kernel's uniform `Params`, as `build.rs` reflected them.
    pub parameters: Vec<u8>,
    pub workgroups: [u32; 3],
    /// Arithmetic done, in floating-point operations; submissions are cut by it.
    pub operations: u64,
    /// The layer that asked for it, e.g. `down_blocks.0.resnets.1.conv1`; for profiles and error messages.
    pub label: String,
}

/// A program as data.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    pub buffers: Vec<VirtualBuffer>,
    pub dispatches: Vec<Dispatch>,
    /// Keeps the resident buffers alive as long as the recording can be replayed.
    pub residents: Vec<Resident>,
}

impl Recording {
    pub fn buffer(&self, id: BufferId) -> Result<&VirtualBuffer> {
        self.buffers
            .get(id.0 as usize)
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("the recording has no buffer {}", id.0)))
    }

    /// Floating-point operations of one replay.
    pub fn operations(&self) -> u64 {
        self.dispatches.iter().map(|dispatch| dispatch.operations).sum()
    }
}
