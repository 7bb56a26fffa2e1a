//! What runs a recording: capabilities as data, resident buffers with owners, and the [`Executor`] trait.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::error::Result;
use crate::record::recording::{Recording, ResidentId};

/// What a device offers, read from it and never assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Name for people: adapter and driver.
    pub name: String,
    pub f16: bool,
    pub subgroups: bool,
    /// The adapter is a program on the CPU (SwiftShader, lavapipe): workgroup memory costs there instead of paying.
    pub software: bool,
    pub max_buffer_bytes: u64,
    pub max_binding_bytes: u64,
    pub max_workgroups_per_dimension: u32,
    pub max_workgroup_storage_bytes: u32,
    pub max_invocations_per_workgroup: u32,
    pub max_storage_buffers: u32,
}

impl Capabilities {
    /// The limits that WebGPU guarantees everywhere, without optional features.
    pub fn baseline() -> Self {
        Self {
            name: "WebGPU baseline".into(),
            f16: false,
            subgroups: false,
            software: false,
            max_buffer_bytes: 256 << 20,
            max_binding_bytes: 128 << 20,
            max_workgroups_per_dimension: 65535,
            max_workgroup_storage_bytes: 16384,
            max_invocations_per_workgroup: 256,
            max_storage_buffers: 8,
        }
    }
}

/// Buffers that lost their last owner since the executor looked; shared between it and its [`Resident`]s.
pub type Released = Rc<RefCell<Vec<ResidentId>>>;

struct Owner {
    id: ResidentId,
    bytes: u64,
    released: Released,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The executor may be iterating the list only while it collects, and drops no owner then.
        if let Ok(mut released) = self.released.try_borrow_mut() {
            released.push(self.id);
        }
    }
}

/// Shared ownership of a resident buffer. When the last clone is dropped, the executor destroys the buffer at its next
/// [`Executor::collect`].
#[derive(Clone)]
pub struct Resident(Rc<Owner>);

impl Resident {
    /// For executors only: hands a freshly created buffer to its first owner.
    pub fn new(id: ResidentId, bytes: u64, released: Released) -> Self {
        Self(Rc::new(Owner { id, bytes, released }))
    }

    pub fn id(&self) -> ResidentId {
        self.0.id
    }

    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }
}

impl fmt::Debug for Resident {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Resident({}, {} bytes)", self.0.id.0, self.0.bytes)
    }
}

/// How the caller follows and stops a run.
pub trait Control {
    /// Asked before every submission.
    fn cancelled(&self) -> bool;
    /// Told after every submission: operations done and in all, of this run.
    fn progress(&self, done: u64, total: u64);
}

/// Runs to the end and reports to nobody.
pub struct Uncontrolled;

impl Control for Uncontrolled {
    fn cancelled(&self) -> bool {
        false
    }

    fn progress(&self, _done: u64, _total: u64) {}
}

/// Runs recordings: the GPU, or the reference on the CPU. Methods take `&self`; executors are used from one thread.
#[expect(async_fn_in_trait, reason = "used generically within this crate; wasm futures are not Send")]
pub trait Executor {
    /// A recording made ready: planned, with pipelines and bind groups.
    type Program;

    fn capabilities(&self) -> &Capabilities;

    /// A zeroed buffer of `bytes` (rounded up to a multiple of 4). Fails with `OutOfMemory` or `DeviceLimit`.
    fn create(&self, label: &str, bytes: u64) -> Result<Resident>;

    /// Writes `data` (length a multiple of 4) at byte `offset` (a multiple of 4), before any later run.
    fn write(&self, buffer: &Resident, offset: u64, data: &[u8]) -> Result<()>;

    /// Reads `bytes` at `offset` after all earlier runs.
    async fn read(&self, buffer: &Resident, offset: u64, bytes: u64) -> Result<Vec<u8>>;

    fn prepare(&self, recording: Recording) -> Result<Self::Program>;

    /// Replays the program. Returns `Cancelled` between submissions when `control` says so.
    async fn run(&self, program: &Self::Program, control: &dyn Control) -> Result<()>;

    /// Waits until everything written and submitted so far is done; reports a lost device or a lack of memory.
    async fn settle(&self) -> Result<()>;

    /// Destroys the buffers whose owners are gone.
    fn collect(&self);

    /// Bytes of resident buffers and of transient slots now held.
    fn memory(&self) -> (u64, u64);
}
