//! Work as plain data: a [`Recording`] of dispatches on named virtual buffers, and what it needs to run anywhere.
//!
//! Decision: a model records once per shape and an executor replays the recording every step; planning, pipelines and
//! bind groups are made once, and the same recording runs on the GPU ([`crate::gpu`]) and on the CPU
//! ([`crate::reference`]), which is how every kernel is tested. Rejected: eager calls into the device, which would
//! plan memory anew every step and could be checked only against another device.

pub mod catalogue;
pub mod executor;
pub mod plan;
pub mod recorder;
pub mod recording;

pub use catalogue::{BindingAccess, KernelVariant};
pub use executor::{Capabilities, Control, Executor, Resident, Uncontrolled};
pub use plan::MemoryPlan;
pub use recorder::{Recorder, Tensor};
pub use recording::{Binding, BufferId, Dispatch, Recording, ResidentId, Storage, VirtualBuffer};
