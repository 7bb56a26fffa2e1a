//! Planner properties over generated recordings: no two live buffers share a slot, every buffer fits its slot, and no
//! dispatch binds one slot twice (WebGPU forbids it where one of the uses writes).

use darkroom::record::catalogue::find;
use darkroom::record::{Binding, BufferId, Dispatch, MemoryPlan, Recording, Storage, VirtualBuffer};

/// A recording of random dispatches that read earlier buffers and write a new one.
fn recording(seed: u64) -> Recording {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let variant = find("elementwise", &["activations_f32"]).unwrap();
    let mut recording = Recording::default();
    let push = |recording: &mut Recording, bytes| {
        recording.buffers.push(VirtualBuffer { label: "test", bytes, storage: Storage::Transient });
        BufferId(recording.buffers.len() as u32 - 1)
    };
    push(&mut recording, 64);
    for _ in 0..40 {
        let count = recording.buffers.len() as u64;
        let pick = BufferId(count.saturating_sub(1 + random(count.min(8))) as u32);
        let other = if random(2) == 0 { Binding::Absent } else { Binding::Buffer(BufferId(random(count) as u32)) };
        let bytes = 16 * (1 + random(500));
        let target = push(&mut recording, bytes);
        recording.dispatches.push(Dispatch {
            variant,
            bindings: vec![Binding::Buffer(pick), other, Binding::Buffer(target)],
            parameters: vec![0; variant.parameter_bytes as usize],
            workgroups: [1, 1, 1],
            operations: 1,
            label: String::new(),
        });
    }
    recording
}

#[test]
fn live_buffers_never_share_a_slot() {
    for seed in 0..200 {
        let recording = recording(seed);
        let plan = MemoryPlan::new(&recording).unwrap();
        for (a, lifetime_a) in plan.lifetimes.iter().enumerate() {
            let Some(lifetime_a) = lifetime_a else {
                assert_eq!(plan.placement[a], None);
                continue;
            };
            let slot = plan.placement[a].expect("a used buffer has a slot");
            assert!(plan.slots[slot] >= recording.buffers[a].bytes);
            for (b, lifetime_b) in plan.lifetimes.iter().enumerate().skip(a + 1) {
                if lifetime_b.is_some_and(|lifetime_b| lifetime_b.overlaps(lifetime_a)) {
                    assert_ne!(plan.placement[b], Some(slot), "buffers {a} and {b} of recording {seed}");
                }
            }
        }
    }
}

#[test]
fn no_dispatch_binds_a_slot_as_written_and_read() {
    for seed in 0..200 {
        let recording = recording(seed);
        let plan = MemoryPlan::new(&recording).unwrap();
        for dispatch in &recording.dispatches {
            let slot = |binding: &Binding| match binding {
                Binding::Buffer(id) => plan.placement[id.0 as usize],
                Binding::Absent => None,
            };
            let written = slot(&dispatch.bindings[2]);
            assert!(dispatch.bindings[..2].iter().all(|binding| slot(binding) != written));
        }
    }
}

#[test]
fn slots_are_fewer_than_buffers() {
    let recording = recording(7);
    let plan = MemoryPlan::new(&recording).unwrap();
    let all: u64 = recording.buffers.iter().map(|buffer| buffer.bytes).sum();
    assert!(plan.bytes() < all / 2, "{} of {all} bytes", plan.bytes());
}
