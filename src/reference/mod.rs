//! The CPU executor: one twin per kernel, same name, written to be read beside the WGSL.
//!
//! Decision: a twin gets the same parameters and bindings as its shader and knows nothing of workgroups, so that it
//! says what the kernel computes while the shader says how. Rejected: translating the shaders, which would repeat their
//! mistakes.

mod attention;
mod elementwise;
mod embed;
mod epilogue;
mod gemm;
mod gemm_reduce;
mod image;
mod invocation;
mod norm;
mod sampling;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

pub use invocation::Invocation;

use crate::error::{Error, ErrorKind, Result};
use crate::record::executor::Released;
use crate::record::{Capabilities, Control, Executor, Recording, Resident, ResidentId, Storage};

/// A kernel's meaning.
pub type Twin = fn(&mut Invocation) -> Result<()>;

/// The twin of a kernel.
pub fn twin(kernel: &str) -> Result<Twin> {
    match kernel {
        "attention" | "attention_direct" | "attention_split" => Ok(attention::attention),
        "elementwise" => Ok(elementwise::elementwise),
        "gemm" => Ok(gemm::gemm),
        "gemm_reduce" => Ok(gemm_reduce::gemm_reduce),
        "from_rgba" => Ok(image::from_rgba),
        "gather_rows" => Ok(embed::gather_rows),
        "group_norm" => Ok(norm::group_norm),
        "guidance" => Ok(sampling::guidance),
        "guidance_rescale" => Ok(sampling::guidance_rescale),
        "layer_norm" => Ok(norm::layer_norm),
        "model_input" => Ok(sampling::model_input),
        "preview" => Ok(image::preview),
        "sampler_step" => Ok(sampling::sampler_step),
        "timestep_embedding" => Ok(embed::timestep_embedding),
        "to_rgba" => Ok(image::to_rgba),
        "token_embedding" => Ok(embed::token_embedding),
        _ => Err(Error::new(ErrorKind::Internal, format!("kernel {kernel} has no twin"))),
    }
}

/// Bytes of a buffer; kept in words, which is how shaders see them.
pub(crate) type Words = Vec<u32>;

/// Runs recordings on the CPU, dispatch by dispatch, every transient buffer kept apart.
pub struct Reference {
    capabilities: Capabilities,
    residents: RefCell<HashMap<ResidentId, Words>>,
    released: Released,
    next_id: Cell<u32>,
}

impl Reference {
    /// Claims the given capabilities, so that the same variants are chosen as on a device that has them.
    pub fn new(capabilities: Capabilities) -> Self {
        Self { capabilities, residents: RefCell::default(), released: Released::default(), next_id: Cell::new(0) }
    }

    fn lost(id: ResidentId) -> Error {
        Error::new(ErrorKind::Internal, format!("resident buffer {} is gone", id.0))
    }
}

impl Executor for Reference {
    type Program = Recording;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn create(&self, _label: &str, bytes: u64) -> Result<Resident> {
        let bytes = bytes.next_multiple_of(16).max(16);
        let id = ResidentId(self.next_id.get());
        self.next_id.set(id.0 + 1);
        self.residents.borrow_mut().insert(id, vec![0; (bytes / 4) as usize]);
        Ok(Resident::new(id, bytes, self.released.clone()))
    }

    fn write(&self, buffer: &Resident, offset: u64, data: &[u8]) -> Result<()> {
        let mut residents = self.residents.borrow_mut();
        let words = residents.get_mut(&buffer.id()).ok_or_else(|| Self::lost(buffer.id()))?;
        let start = offset as usize;
        bytemuck::cast_slice_mut::<u32, u8>(words)
            .get_mut(start..start + data.len())
            .ok_or_else(|| Error::new(ErrorKind::Internal, "write past the end of a buffer"))?
            .copy_from_slice(data);
        Ok(())
    }

    async fn read(&self, buffer: &Resident, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        let residents = self.residents.borrow();
        let words = residents.get(&buffer.id()).ok_or_else(|| Self::lost(buffer.id()))?;
        bytemuck::cast_slice::<u32, u8>(words)
            .get(offset as usize..(offset + bytes) as usize)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "read past the end of a buffer"))
    }

    fn prepare(&self, recording: Recording) -> Result<Recording> {
        Ok(recording)
    }

    async fn run(&self, program: &Recording, control: &dyn Control) -> Result<()> {
        // NaN in what nobody wrote yet shows every read of stale memory.
        let mut transients: Vec<Words> = program
            .buffers
            .iter()
            .map(|buffer| match buffer.storage {
                Storage::Transient => vec![u32::MAX; (buffer.bytes.next_multiple_of(16) / 4) as usize],
                Storage::Resident(_) => Vec::new(),
            })
            .collect();
        let total = program.operations();
        let mut done = 0;
        for dispatch in &program.dispatches {
            if control.cancelled() {
                return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
            }
            let mut residents = self.residents.borrow_mut();
            let mut invocation = Invocation::new(program, dispatch, &mut transients, &mut residents);
            twin(dispatch.variant.kernel)?(&mut invocation)
                .map_err(|error| error.within(format!("{} ({})", dispatch.label, dispatch.variant.name)))?;
            done += dispatch.operations;
            control.progress(done, total);
        }
        Ok(())
    }

    async fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn collect(&self) {
        let released = std::mem::take(&mut *self.released.borrow_mut());
        let mut residents = self.residents.borrow_mut();
        for id in released {
            residents.remove(&id);
        }
    }

    fn memory(&self) -> (u64, u64) {
        (self.residents.borrow().values().map(|words| words.len() as u64 * 4).sum(), 0)
    }
}
