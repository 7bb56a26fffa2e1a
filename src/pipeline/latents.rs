//! Latents on their way in and out: the noise of a seed, the reference's order of dimensions, the sampler's registers.

use crate::error::Result;
use crate::pipeline::programs::{Buffers, Key, Programs};
use crate::pipeline::settings::Settings;
use crate::record::Executor;
use crate::sampler::Register;
use crate::sampler::noise::TorchGenerator;
use crate::tensor::padded_channels;

/// PyTorch's CPU generators of a request: one for all pictures, or one each.
pub(super) struct NoiseSource {
    generators: Vec<TorchGenerator>,
}

impl NoiseSource {
    pub fn new(settings: &Settings) -> Self {
        Self { generators: settings.seeds.iter().map(|&seed| TorchGenerator::new(seed)).collect() }
    }

    /// A latent-sized draw times `scale`, reordered from the reference's planes to channels last.
    pub fn draw(&mut self, key: &Key, scale: f64) -> Vec<f32> {
        let images = key.latents.batch;
        let per_image = key.latents.positions() * key.latents.channels;
        let each = if self.generators.len() == 1 { images } else { 1 };
        let planes: Vec<f32> =
            self.generators.iter_mut().flat_map(|generator| generator.normal(each * per_image)).collect();
        let mut register = to_channels_last(key, &planes);
        // Scaled in f32, as the reference does.
        register.iter_mut().for_each(|value| *value *= scale as f32);
        register
    }
}

fn to_channels_last(key: &Key, planes: &[f32]) -> Vec<f32> {
    let (positions, channels) = (key.latents.positions(), key.latents.channels);
    let stride = padded_channels(channels);
    let mut register = vec![0.0; key.latents.batch * positions * stride];
    for (plane, values) in planes.chunks_exact(positions.max(1)).enumerate() {
        let (image, channel) = (plane / channels, plane % channels);
        let pixels = register.chunks_exact_mut(stride).skip(image * positions);
        for (pixel, &value) in pixels.zip(values) {
            pixel[channel] = value;
        }
    }
    register
}

pub(super) fn to_planes(key: &Key, register: &[f32]) -> Vec<f32> {
    let (positions, channels) = (key.latents.positions(), key.latents.channels);
    let stride = padded_channels(channels);
    let mut planes = Vec::with_capacity(key.latents.batch * positions * channels);
    for image in register.chunks_exact(positions * stride) {
        for channel in 0..channels {
            planes.extend(image.iter().skip(channel).step_by(stride));
        }
    }
    planes
}

pub(super) const fn register_index(register: Register) -> usize {
    match register {
        Register::Sample => 0,
        Register::ModelOutput => 1,
        Register::Noise => 2,
        Register::Memory(index) => 3 + index as usize,
    }
}

fn register_floats(key: &Key) -> usize {
    key.latents.rows() * padded_channels(key.latents.channels)
}

pub(super) fn write_register<E: Executor>(
    executor: &E,
    key: &Key,
    buffers: &Buffers,
    register: usize,
    values: &[f32],
) -> Result<()> {
    let offset = register * register_floats(key) * 4;
    executor.write(&buffers.state, offset as u64, bytemuck::cast_slice(values))
}

pub(super) async fn read_register<E: Executor>(
    executor: &E,
    programs: &Programs<E>,
    register: usize,
) -> Result<Vec<f32>> {
    let bytes = register_floats(&programs.key) * 4;
    let data = executor.read(&programs.buffers.state, (register * bytes) as u64, bytes as u64).await?;
    Ok(bytemuck::pod_collect_to_vec(&data))
}
