//! What a generation will need, told before it starts.

use std::rc::Rc;

use crate::error::Result;
use crate::pipeline::programs::{Buffers, Key, record, record_prompt};
use crate::pipeline::settings::Settings;
use crate::pipeline::stable_diffusion::StableDiffusion;
use crate::record::{Executor, MemoryPlan, Resident, ResidentId};

/// Bytes on the device, and work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub weight_bytes: u64,
    /// Transient slots, shared by all programs, and the buffers that pass between them.
    pub activation_bytes: u64,
    pub dispatches_per_step: usize,
    /// Calls of the network.
    pub calls: usize,
    /// Floating-point operations of one call, and of the decoder.
    pub operations_per_step: u64,
    pub operations_of_decoder: u64,
}

impl<E: Executor> StableDiffusion<E> {
    /// Plans without allocating.
    pub fn plan(&self, settings: &Settings) -> Result<Plan> {
        settings.check(self.size_step())?;
        let sampler = self.sampler(settings)?;
        let key = Key::new(self, settings, sampler.memories())?;
        let mut count = 0;
        let mut imagine = |_label: &str, bytes: u64| {
            count += 1;
            // Numbers from the far end, so that they never meet a real buffer's.
            Ok(Resident::new(ResidentId(u32::MAX - count), bytes.next_multiple_of(16), Rc::default()))
        };
        let buffers = Buffers::new(self, &key, &mut imagine)?;
        let recordings = record(self, &key, &buffers)?;
        let mut plans = vec![MemoryPlan::new(&recordings.denoise)?, MemoryPlan::new(&recordings.decode)?];
        // A released encoder takes less than the rest: its slots are no larger and its weights are gone by then.
        if let Some(encoder) = self.present_text_encoder() {
            plans.push(MemoryPlan::new(&record_prompt(self, &encoder, &key, &buffers)?)?);
        }
        let longest = plans.iter().map(|plan| plan.slots.len()).max().unwrap_or(0);
        let slots: u64 = (0..longest)
            .map(|slot| plans.iter().filter_map(|plan| plan.slots.get(slot)).max().copied().unwrap_or(0))
            .sum();
        Ok(Plan {
            weight_bytes: self.weight_bytes(),
            activation_bytes: slots + buffers.bytes(),
            dispatches_per_step: recordings.denoise.dispatches.len(),
            calls: sampler.calls().len(),
            operations_per_step: recordings.denoise.operations(),
            operations_of_decoder: recordings.decode.operations(),
        })
    }
}
