//! Runs the same recording on the GPU and on the reference executor, and compares.

use std::cell::RefCell;
use std::rc::Rc;

use darkroom::error::{Error, Result};
use darkroom::gpu::{AdapterChoice, Gpu};
use darkroom::ops::elementwise::copy_into;
use darkroom::record::{Executor, Recorder, Resident, Tensor, Uncontrolled};
use darkroom::reference::Reference;
use darkroom::tensor::{DType, Shape};
use half::f16;
use libtest_mimic::{Failed, Trial};

use crate::compare::compare;

thread_local! {
    static GPU: RefCell<Option<std::result::Result<Rc<Gpu>, Error>>> = const { RefCell::new(None) };
}

/// The adapter that the tests run on.
pub fn adapter() -> AdapterChoice {
    AdapterChoice { name: std::env::var("DARKROOM_ADAPTER").ok(), ..AdapterChoice::default() }
}

/// This thread's device.
pub fn with_gpu<T>(body: impl FnOnce(std::result::Result<Rc<Gpu>, Error>) -> T) -> T {
    let gpu = GPU.with_borrow_mut(|gpu| {
        gpu.get_or_insert_with(|| {
            let gpu = pollster::block_on(Gpu::open(&adapter())).map(Rc::new);
            // Never dropped: wgpu's own thread locals may be gone before ours are.
            std::mem::forget(gpu.clone());
            gpu
        })
        .clone()
    });
    body(gpu)
}

/// What a case starts from: bytes ready for a resident buffer.
#[derive(Clone)]
pub struct Input(pub Vec<u8>);

impl Input {
    /// Values in the activation type.
    pub fn elements(values: &[f32], activations: DType) -> Self {
        if activations == DType::F16 {
            let halves: Vec<u16> = values.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
            let mut bytes = bytemuck::cast_slice(&halves).to_vec();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            Self(bytes)
        } else {
            Self::floats(values)
        }
    }

    pub fn floats(values: &[f32]) -> Self {
        Self(bytemuck::cast_slice(values).to_vec())
    }

    pub fn words(values: &[u32]) -> Self {
        Self(bytemuck::cast_slice(values).to_vec())
    }
}

/// Records a case: gets the inputs as resident buffers, returns the tensor to compare.
pub type Body<'a> = &'a dyn Fn(&mut Recorder, &[Resident]) -> Result<Tensor>;

/// Runs a case on one executor and reads the result, widened to f32.
pub fn outcome<E: Executor>(executor: &E, activations: DType, inputs: &[Input], body: Body) -> Result<Vec<f32>> {
    let residents = inputs
        .iter()
        .map(|Input(bytes)| {
            let resident = executor.create("input", bytes.len() as u64)?;
            executor.write(&resident, 0, bytes)?;
            Ok(resident)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut recorder = Recorder::new(executor.capabilities(), activations)?;
    let tensor = body(&mut recorder, &residents)?;
    let bytes = (tensor.shape.elements() * tensor.dtype.element_bytes().unwrap()) as u64;
    let target = executor.create("output", bytes)?;
    copy_into(&mut recorder, tensor, &target)?;
    let program = executor.prepare(recorder.finish())?;
    pollster::block_on(executor.run(&program, &Uncontrolled))?;
    let data = pollster::block_on(executor.read(&target, 0, bytes))?;
    Ok(match tensor.dtype {
        DType::F16 => bytemuck::pod_collect_to_vec::<u8, u16>(&data)
            .into_iter()
            .map(|bits| f16::from_bits(bits).to_f32())
            .collect(),
        _ => bytemuck::pod_collect_to_vec(&data),
    })
}

/// Runs a case on the GPU and on the reference and compares; `relative` as in [`compare`].
pub fn agree(activations: DType, inputs: &[Input], relative: f32, body: Body) -> std::result::Result<(), Failed> {
    with_gpu(|gpu| {
        let gpu = gpu.map_err(|error| error.to_string())?;
        if activations == DType::F16 && !gpu.capabilities().f16 {
            return Ok(()); // The trial's name says f16, and `activations()` leaves it out on such devices.
        }
        let reference = Reference::new(gpu.capabilities().clone());
        let expected = outcome(&reference, activations, inputs, body).map_err(|error| error.to_string())?;
        let actual = outcome(&*gpu, activations, inputs, body).map_err(|error| error.to_string())?;
        compare(&expected, &actual, relative)
    })
}

/// The activation types that this thread's device can run.
pub fn activations() -> Vec<DType> {
    let f16 = with_gpu(|gpu| gpu.is_ok_and(|gpu| gpu.capabilities().f16));
    if f16 { vec![DType::F32, DType::F16] } else { vec![DType::F32] }
}

/// A tolerance for results rounded once to the activation type after sums in f32.
pub fn tolerance(activations: DType) -> f32 {
    if activations == DType::F16 { 2e-3 } else { 2e-5 }
}

/// Reproducible values, roughly normal with the given spread.
pub fn values(seed: u64, count: usize, spread: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| (uniform() + uniform() + uniform() - 1.5) * 2.0 * spread).collect()
}

/// A resident input seen as an activation.
pub fn tensor(recorder: &mut Recorder, resident: &Resident, shape: Shape) -> Result<Tensor> {
    let activations = recorder.activations();
    recorder.resident_tensor("input", resident, shape, activations)
}

/// The device's compiler accepts every variant that its features allow.
pub fn compile_every_variant() -> Trial {
    Trial::test("every_variant_compiles", || {
        with_gpu(|gpu| {
            let gpu = gpu.map_err(|error| error.to_string())?;
            for variant in darkroom::record::catalogue::variants() {
                let runs = (!variant.needs_f16 || gpu.capabilities().f16)
                    && (!variant.needs_subgroups || gpu.capabilities().subgroups);
                if runs {
                    gpu.compile(variant)
                        .and_then(|()| pollster::block_on(gpu.settle()))
                        .map_err(|error| format!("{}: {error}", variant.name))?;
                }
            }
            Ok(())
        })
    })
}

/// Records a case that works on its inputs in place.
pub type Action<'a> = &'a dyn Fn(&mut Recorder, &[Resident]) -> Result<()>;

/// Runs a case on one executor and reads the bytes of one of its inputs afterwards.
pub fn aftermath<E: Executor>(
    executor: &E,
    activations: DType,
    inputs: &[Input],
    read: usize,
    action: Action,
) -> Result<Vec<u8>> {
    let residents = inputs
        .iter()
        .map(|Input(bytes)| {
            let resident = executor.create("input", bytes.len() as u64)?;
            executor.write(&resident, 0, bytes)?;
            Ok(resident)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut recorder = Recorder::new(executor.capabilities(), activations)?;
    action(&mut recorder, &residents)?;
    let program = executor.prepare(recorder.finish())?;
    pollster::block_on(executor.run(&program, &Uncontrolled))?;
    pollster::block_on(executor.read(&residents[read], 0, inputs[read].0.len() as u64))
}

/// The bytes of one input after a case on the reference, and on the GPU.
pub fn both_aftermaths(
    activations: DType,
    inputs: &[Input],
    read: usize,
    action: Action,
) -> std::result::Result<[Vec<u8>; 2], Failed> {
    with_gpu(|gpu| {
        let gpu = gpu.map_err(|error| error.to_string())?;
        let reference = Reference::new(gpu.capabilities().clone());
        let expected = aftermath(&reference, activations, inputs, read, action).map_err(|error| error.to_string())?;
        let actual = aftermath(&*gpu, activations, inputs, read, action).map_err(|error| error.to_string())?;
        Ok([expected, actual])
    })
}
