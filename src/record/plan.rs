//! Memory planning: transient buffers share a few physical slots by lifetime.
//!
//! Decision: a slot holds one live buffer at a time, largest buffers placed first (greedy by size, Pisarchyk & Lee 2020,
//! "Efficient Memory Management for Deep Neural Net Inference", section 4). As all operands of a dispatch are alive
//! during it, no slot is ever bound twice in one dispatch, which is WebGPU's usage rule. Rejected: offsets within one
//! arena, a little smaller, but then every binding would have to be `read_write`.

use crate::error::Result;
use crate::record::recording::{Binding, BufferId, Recording, Storage};

/// Dispatch indices of first and last use, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    pub first: usize,
    pub last: usize,
}

impl Lifetime {
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Slots and who sits in which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Bytes of each slot, largest first.
    pub slots: Vec<u64>,
    /// Slot of each virtual buffer; none for residents and for buffers that no dispatch uses.
    pub placement: Vec<Option<usize>>,
    /// Lifetime of each virtual buffer that a dispatch uses.
    pub lifetimes: Vec<Option<Lifetime>>,
}

impl MemoryPlan {
    pub fn new(recording: &Recording) -> Result<Self> {
        let lifetimes = lifetimes(recording)?;
        let mut order: Vec<(usize, u64, Lifetime)> = recording
            .buffers
            .iter()
            .zip(&lifetimes)
            .enumerate()
            .filter(|(_, (buffer, _))| buffer.storage == Storage::Transient)
            .filter_map(|(index, (buffer, lifetime))| lifetime.map(|lifetime| (index, buffer.bytes, lifetime)))
            .collect();
        order.sort_by_key(|&(index, bytes, _)| (std::cmp::Reverse(bytes), index));

        let mut slots: Vec<u64> = Vec::new();
        let mut tenants: Vec<Vec<Lifetime>> = Vec::new();
        let mut placement = vec![None; recording.buffers.len()];
        for (index, bytes, lifetime) in order {
            // Later slots are smaller, so the last free one wastes least; all are large enough by the order of placing.
            let free =
                (0..slots.len()).rev().find(|&slot| !tenants[slot].iter().any(|other| other.overlaps(&lifetime)));
            let slot = free.unwrap_or_else(|| {
                slots.push(bytes);
                tenants.push(Vec::new());
                slots.len() - 1
            });
            tenants[slot].push(lifetime);
            placement[index] = Some(slot);
        }
        Ok(Self { slots, placement, lifetimes })
    }

    /// Bytes of all slots together: the peak of transient memory.
    pub fn bytes(&self) -> u64 {
        self.slots.iter().sum()
    }
}

fn lifetimes(recording: &Recording) -> Result<Vec<Option<Lifetime>>> {
    let mut lifetimes: Vec<Option<Lifetime>> = vec![None; recording.buffers.len()];
    for (index, dispatch) in recording.dispatches.iter().enumerate() {
        for binding in &dispatch.bindings {
            let &Binding::Buffer(BufferId(id)) = binding else { continue };
            recording.buffer(BufferId(id))?;
            if let Some(lifetime) = lifetimes.get_mut(id as usize) {
                lifetime.get_or_insert(Lifetime { first: index, last: index }).last = index;
            }
        }
    }
    Ok(lifetimes)
}
