//! The GPU executor: runs recordings with `wgpu`, which is WebGPU in a browser and Vulkan elsewhere. The only folder
//! that names `wgpu`.
//!
//! Decision: one uniform arena per program, one bind group per dispatch, both made once in [`Gpu::prepare`]; replaying
//! only encodes and submits. Programs run one after the other, so they share one pool of transient slots. Rejected:
//! slots per program, which would add up the peaks of text encoder, denoiser and decoder.

mod device;
mod program;
mod wait;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

pub use device::AdapterChoice;
pub use program::GpuProgram;
use web_time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::record::executor::Released;
use crate::record::{Capabilities, Control, Executor, KernelVariant, MemoryPlan, Recording, Resident, ResidentId};
use device::{Device, Faults};
use program::Pipeline;

/// A buffer that is destroyed, not merely forgotten, with its last owner: garbage collection comes too late on the web.
struct OwnedBuffer {
    buffer: wgpu::Buffer,
    bytes: u64,
}

impl Drop for OwnedBuffer {
    fn drop(&mut self) {
        self.buffer.destroy();
    }
}

/// The executor on one device.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    faults: Faults,
    capabilities: Capabilities,
    residents: RefCell<HashMap<ResidentId, OwnedBuffer>>,
    released: Released,
    next_id: Cell<u32>,
    /// Physical slots shared by all programs, largest first.
    slots: RefCell<Vec<Rc<OwnedBuffer>>>,
    pipelines: RefCell<HashMap<&'static str, Rc<Pipeline>>>,
    /// Bound where an optional operand is absent: zeros to read, and a place to write what nobody reads.
    absent_read: OwnedBuffer,
    absent_write: OwnedBuffer,
    /// Operations per second as measured on earlier submissions; cuts the next ones.
    rate: Cell<f64>,
}

/// Time that one submission should take: short enough for watchdogs, cancel and a smooth page.
const SUBMISSION_SECONDS: f64 = 0.1;
/// A guess below which even a phone stays; measured after the first submission.
const FIRST_RATE: f64 = 20e9;
/// Offset alignment that WebGPU guarantees for any buffer binding.
const ALIGNMENT: u64 = 256;

impl Gpu {
    /// Opens an adapter. Fails with `NoGpu` where none fits.
    pub async fn open(choice: &AdapterChoice) -> Result<Self> {
        let Device { device, queue, faults, capabilities } = device::open(choice).await?;
        let absent_read = owned(&device, "absent operand", ALIGNMENT);
        let absent_write = owned(&device, "absent result", 16 * ALIGNMENT);
        Ok(Self {
            device,
            queue,
            faults,
            capabilities,
            residents: RefCell::default(),
            released: Released::default(),
            next_id: Cell::new(0),
            slots: RefCell::default(),
            pipelines: RefCell::default(),
            absent_read,
            absent_write,
            rate: Cell::new(FIRST_RATE),
        })
    }

    /// The pipeline of a variant, made on first use. Public so that a test can create every one of them.
    pub fn compile(&self, variant: &'static KernelVariant) -> Result<()> {
        self.pipeline(variant).map(|_| ())
    }

    fn pipeline(&self, variant: &'static KernelVariant) -> Result<Rc<Pipeline>> {
        if variant.needs_f16 && !self.capabilities.f16 {
            return Err(Error::new(
                ErrorKind::DeviceLimit,
                format!("{} needs shader-f16, which {} lacks", variant.name, self.capabilities.name),
            ));
        }
        if let Some(pipeline) = self.pipelines.borrow().get(variant.name) {
            return Ok(pipeline.clone());
        }
        let pipeline = Rc::new(Pipeline::new(&self.device, variant));
        self.pipelines.borrow_mut().insert(variant.name, pipeline.clone());
        Ok(pipeline)
    }

    /// Gives up the slots that no program uses any more, before a larger plan is made.
    pub fn trim(&self) {
        self.slots.borrow_mut().retain(|slot| Rc::strong_count(slot) > 1);
    }

    /// Destroys the device and everything on it.
    pub fn close(&self) {
        self.device.destroy();
    }

    /// Slots for a plan: those of the pool where they are large enough, else new ones in their place.
    fn claim_slots(&self, plan: &MemoryPlan) -> Vec<Rc<OwnedBuffer>> {
        let mut pool = self.slots.borrow_mut();
        let mut claimed = Vec::new();
        for (index, &bytes) in plan.slots.iter().enumerate() {
            let bytes = bytes.next_multiple_of(ALIGNMENT);
            match pool.get(index) {
                Some(slot) if slot.bytes >= bytes => claimed.push(slot.clone()),
                existing => {
                    let replace = existing.is_some();
                    let slot = Rc::new(owned(&self.device, "slot", bytes));
                    if replace {
                        pool[index] = slot.clone();
                    } else {
                        pool.push(slot.clone());
                    }
                    claimed.push(slot);
                }
            }
        }
        claimed
    }

    fn with_resident<T>(&self, id: ResidentId, body: impl FnOnce(&OwnedBuffer) -> Result<T>) -> Result<T> {
        let residents = self.residents.borrow();
        let buffer = residents
            .get(&id)
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("resident buffer {} is gone", id.0)))?;
        body(buffer)
    }
}

fn owned(device: &wgpu::Device, label: &str, bytes: u64) -> OwnedBuffer {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let descriptor = wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
    OwnedBuffer { buffer: device.create_buffer(&descriptor), bytes }
}

impl Executor for Gpu {
    type Program = GpuProgram;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn create(&self, label: &str, bytes: u64) -> Result<Resident> {
        self.faults.check()?;
        let bytes = bytes.next_multiple_of(16).max(16);
        if bytes > self.capabilities.max_buffer_bytes {
            return Err(Error::new(
                ErrorKind::DeviceLimit,
                format!(
                    "{label} needs a buffer of {bytes} bytes, {} allows {}",
                    self.capabilities.name, self.capabilities.max_buffer_bytes
                ),
            ));
        }
        let buffer = owned(&self.device, label, bytes);
        self.faults.check()?;
        let id = ResidentId(self.next_id.get());
        self.next_id.set(id.0 + 1);
        self.residents.borrow_mut().insert(id, buffer);
        Ok(Resident::new(id, bytes, self.released.clone()))
    }

    fn write(&self, buffer: &Resident, offset: u64, data: &[u8]) -> Result<()> {
        self.faults.check()?;
        check_range(buffer, offset, data.len() as u64)?;
        self.with_resident(buffer.id(), |owned| {
            self.queue.write_buffer(&owned.buffer, offset, data);
            Ok(())
        })
    }

    async fn read(&self, buffer: &Resident, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        self.faults.check()?;
        check_range(buffer, offset, bytes)?;
        let size = bytes.next_multiple_of(4);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: Some("readback"), size, usage, mapped_at_creation: false };
        let staging = OwnedBuffer { buffer: self.device.create_buffer(&descriptor), bytes: size };
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.with_resident(buffer.id(), |owned| {
            encoder.copy_buffer_to_buffer(&owned.buffer, offset, &staging.buffer, 0, size);
            Ok(())
        })?;
        self.queue.submit([encoder.finish()]);
        let mapped = wait::mapped(&self.device, &staging.buffer).await;
        self.faults.check()?;
        mapped?;
        let view = staging
            .buffer
            .get_mapped_range(..)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("reading back: {error}")))?;
        let mut data = view.to_vec();
        data.truncate(bytes as usize);
        Ok(data)
    }

    fn prepare(&self, recording: Recording) -> Result<GpuProgram> {
        self.faults.check()?;
        let program = GpuProgram::new(self, recording)?;
        self.faults.check()?;
        Ok(program)
    }

    async fn run(&self, program: &GpuProgram, control: &dyn Control) -> Result<()> {
        let total = program.operations();
        let mut done = 0;
        let mut first = 0;
        let mut in_flight = None;
        let mut before = Instant::now();
        while first < program.len() {
            if control.cancelled() {
                self.settle().await?;
                return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
            }
            self.faults.check()?;
            let (end, operations) = program.cut(first, (self.rate.get() * SUBMISSION_SECONDS) as u64);
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            program.encode(&mut encoder, first..end);
            self.queue.submit([encoder.finish()]);
            let submission = (wait::submitted(&self.queue), operations);
            first = end;
            // One submission stays queued behind the one that runs, so that the device never waits for us.
            if let Some((signal, operations)) = in_flight.replace(submission) {
                done += self.finish(signal, operations, &mut before).await?;
                control.progress(done, total);
            }
        }
        if let Some((signal, operations)) = in_flight {
            done += self.finish(signal, operations, &mut before).await?;
            control.progress(done, total);
        }
        Ok(())
    }

    async fn settle(&self) -> Result<()> {
        self.queue.submit([]);
        wait::finished(&self.device, wait::submitted(&self.queue)).await;
        self.faults.check()
    }

    fn collect(&self) {
        let released = std::mem::take(&mut *self.released.borrow_mut());
        let mut residents = self.residents.borrow_mut();
        for id in released {
            residents.remove(&id);
        }
    }

    fn memory(&self) -> (u64, u64) {
        let residents = self.residents.borrow().values().map(|buffer| buffer.bytes).sum();
        let slots = self.slots.borrow().iter().map(|slot| slot.bytes).sum();
        (residents, slots)
    }
}

impl Gpu {
    /// Waits for a submission and learns from the time it took.
    async fn finish(&self, signal: wait::Signal<()>, operations: u64, before: &mut Instant) -> Result<u64> {
        wait::finished(&self.device, signal).await;
        self.faults.check()?;
        let seconds = before.elapsed().as_secs_f64().max(1e-4);
        *before = Instant::now();
        // Small submissions measure overhead, not arithmetic; half the old value keeps one hiccup from mattering.
        let measured = operations as f64 / seconds;
        if seconds > 0.02 {
            self.rate.set((0.5 * (self.rate.get() + measured)).max(1e8));
        } else {
            self.rate.set((self.rate.get() * 1.5).min(1e14));
        }
        Ok(operations)
    }
}

fn check_range(buffer: &Resident, offset: u64, bytes: u64) -> Result<()> {
    let fits = offset.checked_add(bytes).is_some_and(|end| end <= buffer.bytes());
    if fits && offset.is_multiple_of(4) && bytes > 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Internal, format!("bytes {offset}+{bytes} of a buffer of {}", buffer.bytes())))
}
