//! Runs the recordings with every intermediate kept, then repeats some dispatches on the CPU from the device's own
//! inputs.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;

use darkroom::gpu::Gpu;
use darkroom::pipeline::settings::Settings;
use darkroom::pipeline::stable_diffusion::StableDiffusion;
use darkroom::record::{
    Binding, BindingAccess, BufferId, Dispatch, Executor, Recording, Resident, ResidentId, Storage, Uncontrolled,
};
use darkroom::reference::Reference;
use half::f16;
use pollster::block_on;

/// Relative root mean square that a dispatch may differ by: one rounding to f16, or sums in another order in f32.
const MOST_F16: f64 = 2e-3;
const MOST_F32: f64 = 2e-5;
/// Arithmetic that the reference may do for one dispatch.
const MOST_OPERATIONS: u64 = 6_000_000_000;

/// Checks `samples` dispatches over all recordings; whether all agreed.
pub fn check(model: &StableDiffusion<Gpu>, settings: &Settings, samples: usize) -> Result<bool, Box<dyn Error>> {
    let gpu = model.executor();
    let recordings = block_on(model.recordings(settings))?;
    let mut passed = 0;
    let mut failed = 0;
    for (part, recording) in recordings {
        let chosen = choose(&recording, samples.div_ceil(3));
        let (kept, residents) = keep_everything(gpu, &recording)?;
        let program = gpu.prepare(kept.clone())?;
        block_on(gpu.run(&program, &Uncontrolled))?;
        for index in chosen {
            let (difference, f16) = repeat(gpu, &kept, &residents, index)?;
            let agrees = difference <= if f16 { MOST_F16 } else { MOST_F32 };
            let dispatch = &kept.dispatches[index];
            let verdict = if agrees { "pass" } else { "FAIL" };
            println!(
                "{part} {index:4} {:70} {:52} relative RMS {difference:.1e} {verdict}",
                dispatch.variant.name, dispatch.label
            );
            if agrees { passed += 1 } else { failed += 1 }
        }
        drop(program);
        drop(residents);
        gpu.collect();
        gpu.trim();
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0 && passed > 0)
}

/// Dispatches spread over the recording, at least one of every variant.
fn choose(recording: &Recording, samples: usize) -> Vec<usize> {
    let affordable = |index: &usize| {
        let work: u64 = writers(recording, *index).iter().map(|&other| recording.dispatches[other].operations).sum();
        // What several kernels write in turn, such as the sampler's registers, cannot be repeated from its end.
        let variant = recording.dispatches[*index].variant;
        let alike = writers(recording, *index).iter().all(|&other| recording.dispatches[other].variant == variant);
        alike && work <= MOST_OPERATIONS && !is_overwritten(recording, *index)
    };
    let all: Vec<usize> = (0..recording.dispatches.len()).filter(affordable).collect();
    let mut chosen: BTreeMap<usize, ()> = BTreeMap::new();
    let mut seen = HashMap::new();
    for &index in &all {
        seen.entry(recording.dispatches[index].variant.name).or_insert(index);
    }
    chosen.extend(seen.into_values().map(|index| (index, ())));
    for sample in 0..samples {
        chosen.insert(all[sample * (all.len() - 1) / samples.max(1)], ());
    }
    chosen.into_keys().collect()
}

fn written(dispatch: &Dispatch) -> impl Iterator<Item = Binding> {
    let bindings = dispatch.bindings.iter().zip(dispatch.variant.bindings);
    bindings.filter(|(_, info)| info.access == BindingAccess::ReadWrite).map(|(binding, _)| *binding)
}

/// All dispatches that write what dispatch `index` writes: a large product or attention is cut into several.
fn writers(recording: &Recording, index: usize) -> Vec<usize> {
    let targets: Vec<Binding> =
        written(&recording.dispatches[index]).filter(|binding| *binding != Binding::Absent).collect();
    let writes = |dispatch: &Dispatch| written(dispatch).any(|binding| targets.contains(&binding));
    (0..recording.dispatches.len()).filter(|&other| writes(&recording.dispatches[other])).collect()
}

/// Whether something that the dispatch reads is changed after it, so that its inputs are gone when the run is over.
fn is_overwritten(recording: &Recording, index: usize) -> bool {
    let reads = |binding: &Binding| recording.dispatches[index].bindings.contains(binding);
    let own = writers(recording, index);
    let after = (index + 1..recording.dispatches.len()).filter(|other| !own.contains(other));
    after
        .into_iter()
        .any(|other| written(&recording.dispatches[other]).any(|binding| binding != Binding::Absent && reads(&binding)))
}

/// The recording with a buffer of its own for every transient.
fn keep_everything(
    gpu: &Gpu,
    recording: &Recording,
) -> Result<(Recording, HashMap<ResidentId, Resident>), Box<dyn Error>> {
    let mut kept = recording.clone();
    let mut residents: HashMap<ResidentId, Resident> =
        recording.residents.iter().map(|resident| (resident.id(), resident.clone())).collect();
    for buffer in &mut kept.buffers {
        if buffer.storage == Storage::Transient {
            let resident = gpu.create(buffer.label, buffer.bytes)?;
            buffer.storage = Storage::Resident(resident.id());
            kept.residents.push(resident.clone());
            residents.insert(resident.id(), resident);
        }
    }
    Ok((kept, residents))
}

/// Repeats one dispatch on the CPU. Returns the relative difference of what it wrote, and whether that is f16.
fn repeat(
    gpu: &Gpu,
    recording: &Recording,
    residents: &HashMap<ResidentId, Resident>,
    index: usize,
) -> Result<(f64, bool), Box<dyn Error>> {
    let dispatch = &recording.dispatches[index];
    let reference = Reference::new(gpu.capabilities().clone());
    let dispatches = writers(recording, index).iter().map(|&other| recording.dispatches[other].clone()).collect();
    let mut alone = Recording { buffers: recording.buffers.clone(), dispatches, residents: Vec::new() };
    let mut written = Vec::new();
    for (binding, info) in dispatch.bindings.iter().zip(dispatch.variant.bindings) {
        let &Binding::Buffer(BufferId(id)) = binding else { continue };
        let Storage::Resident(on_gpu) = recording.buffers[id as usize].storage else { continue };
        if let Storage::Resident(_) = alone.buffers[id as usize].storage
            && written.iter().any(|(other, ..): &(u32, Resident, Resident)| *other == id)
        {
            continue;
        }
        let source = &residents[&on_gpu];
        let copy = reference.create("copy", source.bytes())?;
        let data = block_on(gpu.read(source, 0, source.bytes()))?;
        reference.write(&copy, 0, &data)?;
        alone.buffers[id as usize].storage = Storage::Resident(copy.id());
        alone.residents.push(copy.clone());
        if info.access == BindingAccess::ReadWrite {
            written.push((id, source.clone(), copy));
        }
    }
    block_on(reference.run(&alone, &Uncontrolled))?;
    let f16 = dispatch.variant.has("activations_f16")
        && !dispatch.variant.has("partials")
        && !dispatch.variant.has("statistics");
    let mut worst = 0.0f64;
    for (_, source, copy) in written {
        let actual = block_on(gpu.read(&source, 0, source.bytes()))?;
        let expected = block_on(reference.read(&copy, 0, copy.bytes()))?;
        worst = worst.max(relative(&widen(&expected, f16), &widen(&actual, f16)));
    }
    Ok((worst, f16))
}

fn widen(data: &[u8], is_f16: bool) -> Vec<f32> {
    if is_f16 {
        data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect()
    } else {
        data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }
}

fn relative(expected: &[f32], actual: &[f32]) -> f64 {
    let (mut differences, mut squares) = (0.0f64, 0.0f64);
    for (&expected, &actual) in expected.iter().zip(actual) {
        if expected.to_bits() == actual.to_bits() {
            squares += if expected.is_finite() { f64::from(expected).powi(2) } else { 0.0 };
            continue;
        }
        differences += (f64::from(expected) - f64::from(actual)).powi(2);
        squares += f64::from(expected).powi(2);
    }
    if differences == 0.0 { 0.0 } else { (differences / squares).sqrt() }
}
