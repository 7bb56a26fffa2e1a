//! Single calls of the networks on the GPU: stored inputs in, the network's output back, in the reference's order of
//! dimensions.

use std::cell::RefCell;
use std::rc::Rc;

use darkroom::gpu::{AdapterChoice, Gpu};
use darkroom::models::clip::ClipTextModel;
use darkroom::models::unet::Unet;
use darkroom::models::vae::{VaeDecoder, VaeEncoder};
use darkroom::ops::elementwise::copy_into;
use darkroom::record::{Executor, Recorder, Resident, Tensor, Uncontrolled};
use darkroom::tensor::{DType, Shape, padded_channels};
use half::f16;

use crate::case::Expected;
use crate::comparison::Bar;
use crate::{Result, Settings};

thread_local! {
    static GPU: RefCell<Option<Rc<Gpu>>> = const { RefCell::new(None) };
}

/// The run's device.
pub fn gpu(settings: &Settings) -> Result<Rc<Gpu>> {
    GPU.with_borrow_mut(|slot| {
        if let Some(gpu) = slot {
            return Ok(gpu.clone());
        }
        let gpu = Rc::new(pollster::block_on(Gpu::open(&AdapterChoice {
            name: settings.adapter.clone(),
            as_hardware: settings.hardware,
            ..AdapterChoice::default()
        }))?);
        println!("adapter: {}", gpu.capabilities().name);
        // Never dropped: wgpu's own thread locals may be gone before ours are.
        std::mem::forget(gpu.clone());
        *slot = Some(gpu.clone());
        Ok(gpu)
    })
}

/// What a single call has to keep.
pub fn call_bar(settings: &Settings) -> Bar {
    Bar::RelativeRms(if settings.activations == DType::F16 { 1e-2 } else { 5e-5 })
}

/// One device and one type of activations.
pub struct Bench {
    pub gpu: Rc<Gpu>,
    pub activations: DType,
}

impl Bench {
    pub fn new(settings: &Settings) -> Result<Self> {
        Ok(Self { gpu: gpu(settings)?, activations: settings.activations })
    }

    /// Hidden states `[B, tokens, hidden]` of token ids `[B, tokens]`.
    pub fn text(&self, model: &ClipTextModel, ids: &Expected) -> Result<Vec<f32>> {
        let [batch, length] = ids.shape[..] else { return Err("token ids have two dimensions".into()) };
        let tokens: Vec<u32> = ids.values.iter().map(|&id| id as u32).collect();
        let tokens = self.upload(bytemuck::cast_slice(&tokens))?;
        let rows = self.run(|recorder| Ok(model.forward(recorder, &tokens, batch, length)?))?;
        Ok(rows.unpadded(model.config.hidden_size))
    }

    /// Output `[B, C, h, w]` for `sample` `[B, C, h, w]`, a timestep for each batch entry, and hidden states.
    pub fn unet(&self, unet: &Unet, sample: &Expected, timesteps: &[f32], context: &Expected) -> Result<Vec<f32>> {
        let [batch, tokens, channels] = context.shape[..] else {
            return Err("the context has three dimensions".into());
        };
        let timesteps = self.upload(bytemuck::cast_slice(timesteps))?;
        let image = self.image(sample)?;
        let context_shape = Shape::tokens(batch, tokens, channels);
        let context = self.elements(&context.floats())?;
        let rows = self.run(|recorder| {
            let context = self.tensor(recorder, &context, context_shape)?;
            let sample = self.tensor(recorder, &image.0, image.1)?;
            let key_values = unet.key_values(recorder, context)?;
            Ok(unet.forward(recorder, sample, &timesteps, &key_values)?)
        })?;
        Ok(rows.planes(unet.config.out_channels))
    }

    /// Picture `[B, 3, H, W]` around -1…1 of latents without the scaling factor.
    pub fn decode(&self, vae: &VaeDecoder, latents: &Expected) -> Result<Vec<f32>> {
        let image = self.image(latents)?;
        let rows = self.run(|recorder| {
            let latents = self.tensor(recorder, &image.0, image.1)?;
            Ok(vae.forward(recorder, latents)?)
        })?;
        Ok(rows.planes(vae.config.out_channels))
    }

    /// Moments `[B, 2 · latent channels, h, w]` of a picture `[B, 3, H, W]`.
    pub fn encode(&self, vae: &VaeEncoder, picture: &Expected) -> Result<Vec<f32>> {
        let image = self.image(picture)?;
        let rows = self.run(|recorder| {
            let picture = self.tensor(recorder, &image.0, image.1)?;
            Ok(vae.forward(recorder, picture)?)
        })?;
        Ok(rows.planes(2 * vae.config.latent_channels))
    }

    fn image(&self, planes: &Expected) -> Result<(Resident, Shape)> {
        let [batch, channels, height, width] = planes.shape[..] else {
            return Err("images have four dimensions".into());
        };
        let shape = Shape::image(batch, height, width, padded_channels(channels));
        let mut values = vec![0.0; shape.elements()];
        for (index, &value) in planes.values.iter().enumerate() {
            let (plane, position) = (index / (height * width), index % (height * width));
            let (image, channel) = (plane / channels, plane % channels);
            values[(image * height * width + position) * shape.channels + channel] = value as f32;
        }
        Ok((self.elements(&values)?, shape))
    }

    fn elements(&self, values: &[f32]) -> Result<Resident> {
        match self.activations {
            DType::F16 => {
                let halves: Vec<u16> = values.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
                self.upload(bytemuck::cast_slice(&halves))
            }
            _ => self.upload(bytemuck::cast_slice(values)),
        }
    }

    fn upload(&self, bytes: &[u8]) -> Result<Resident> {
        let resident = self.gpu.create("input", bytes.len() as u64)?;
        self.gpu.write(&resident, 0, bytes)?;
        Ok(resident)
    }

    fn tensor(&self, recorder: &mut Recorder, resident: &Resident, shape: Shape) -> Result<Tensor> {
        Ok(recorder.resident_tensor("input", resident, shape, self.activations)?)
    }

    fn run(&self, body: impl FnOnce(&mut Recorder) -> Result<Tensor>) -> Result<Rows> {
        let mut recorder = Recorder::new(self.gpu.capabilities(), self.activations)?;
        let tensor = body(&mut recorder)?;
        let bytes = (tensor.shape.elements() * tensor.dtype.element_bytes().ok_or("no element type")?) as u64;
        let target = self.gpu.create("output", bytes)?;
        copy_into(&mut recorder, tensor, &target)?;
        let program = self.gpu.prepare(recorder.finish())?;
        pollster::block_on(self.gpu.run(&program, &Uncontrolled))?;
        let data = pollster::block_on(self.gpu.read(&target, 0, bytes))?;
        self.gpu.collect();
        let values = match tensor.dtype {
            DType::F16 => data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            _ => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        };
        Ok(Rows { shape: tensor.shape, values })
    }
}

/// A result as the engine orders it.
struct Rows {
    shape: Shape,
    values: Vec<f32>,
}

impl Rows {
    fn unpadded(&self, channels: usize) -> Vec<f32> {
        self.values.chunks_exact(self.shape.channels).flat_map(|row| &row[..channels]).copied().collect()
    }

    fn planes(&self, channels: usize) -> Vec<f32> {
        let positions = self.shape.positions();
        let image = |image: usize| {
            (0..channels).flat_map(move |channel| {
                (0..positions).map(move |position| (image * positions + position) * self.shape.channels + channel)
            })
        };
        (0..self.shape.batch).flat_map(image).map(|index| self.values[index]).collect()
    }
}
