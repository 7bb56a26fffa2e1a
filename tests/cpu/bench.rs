//! For the tests of kernels' twins: a recorder and the reference executor side by side. The tests beside it write each
//! result from the mathematics alone, so that shader and twin cannot be wrong together.

use darkroom::error::Result;
use darkroom::ops::elementwise::copy_into;
use darkroom::record::{Capabilities, Executor, Recorder, Resident, Tensor, Uncontrolled};
use darkroom::reference::Reference;
use darkroom::tensor::{DType, Shape};

pub fn values(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Recorder and executor side by side, in f32.
pub struct Bench {
    pub reference: Reference,
    pub recorder: Recorder,
}

impl Bench {
    pub fn new() -> Self {
        let reference = Reference::new(Capabilities::baseline());
        let recorder = Recorder::new(reference.capabilities(), DType::F32).unwrap();
        Self { reference, recorder }
    }

    pub fn bytes(&self, bytes: &[u8]) -> Resident {
        let resident = self.reference.create("input", bytes.len() as u64).unwrap();
        self.reference.write(&resident, 0, bytes).unwrap();
        resident
    }

    pub fn floats(&self, values: &[f32]) -> Resident {
        self.bytes(bytemuck::cast_slice(values))
    }

    pub fn words(&self, values: &[u32]) -> Resident {
        self.bytes(bytemuck::cast_slice(values))
    }

    pub fn tensor(&mut self, shape: Shape, values: &[f32]) -> Tensor {
        let resident = self.floats(values);
        self.recorder.resident_tensor("input", &resident, shape, DType::F32).unwrap()
    }

    /// Runs what was recorded and reads the tensor.
    pub fn result(mut self, tensor: Result<Tensor>) -> Vec<f32> {
        let tensor = tensor.unwrap();
        let target = self.reference.create("output", tensor.shape.elements() as u64 * 4).unwrap();
        copy_into(&mut self.recorder, tensor, &target).unwrap();
        bytemuck::pod_collect_to_vec(&self.contents(&target, tensor.shape.elements()))
    }

    /// Runs what was recorded and reads the first words of a resident buffer.
    pub fn contents(self, target: &Resident, words: usize) -> Vec<u8> {
        let program = self.reference.prepare(self.recorder.finish()).unwrap();
        pollster::block_on(self.reference.run(&program, &Uncontrolled)).unwrap();
        pollster::block_on(self.reference.read(target, 0, words as u64 * 4)).unwrap()
    }
}

#[track_caller]
pub fn assert_close(actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    for (index, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((f64::from(*a) - e).abs() <= tolerance, "{a} instead of {e} at {index}");
    }
}
