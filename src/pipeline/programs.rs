//! The recordings of a generation, made once per shape and replayed for every step and every later picture.
//!
//! Decision: three programs. *Prompt* encodes the tokens and leaves the keys and values of all cross attentions behind;
//! *denoise* is one call of the network with guidance and the sampler's step; *decode* makes the picture. What passes
//! between them lives in resident [`Buffers`]. Rejected: one recording for everything, which would encode the prompt
//! anew in every step.

use std::cell::RefCell;

use crate::error::{Error, ErrorKind, Result};
use crate::models::clip::ClipTextModel;
use crate::ops::elementwise::{copy_entries, copy_into};
use crate::ops::image::to_rgba;
use crate::ops::sampling::{
    GUIDANCE_BYTES, Guidance, MAX_REGISTERS, PROGRAM_BYTES, Registers, guidance, model_input, sampler_step,
};
use crate::pipeline::settings::Settings;
use crate::pipeline::stable_diffusion::StableDiffusion;
use crate::pipeline::tiling::Tiling;
use crate::record::{Executor, Recorder, Recording, Resident, Tensor};
use crate::tensor::{DType, Shape, padded_channels};

/// What the recordings depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// One register: images, latent height and width, channels.
    pub latents: Shape,
    /// Batch entries of the network per image: 2 with guidance.
    pub copies: usize,
    /// Runs of the network per call: 2 where a batch of both halves of guidance takes too much memory.
    pub passes: usize,
    pub guidance: Guidance,
    /// Sample, model output, noise, memories, and the predicted clean latent for previews.
    pub registers: usize,
    pub clip_skip: usize,
    pub activations: DType,
    pub vae_activations: DType,
}

impl Key {
    pub fn new<E: Executor>(model: &StableDiffusion<E>, settings: &Settings, memories: usize) -> Result<Self> {
        let scale = model.size_step();
        let guidance = match settings.guided() {
            false => Guidance::Off,
            true if settings.guidance_rescale > 0.0 => Guidance::Rescaled,
            true => Guidance::On,
        };
        let registers = memories + 4;
        if registers > MAX_REGISTERS {
            return Err(Error::new(ErrorKind::Unsupported, format!("a sampler that remembers {memories} latents")));
        }
        Ok(Self {
            latents: Shape::image(
                settings.images(),
                settings.height / scale,
                settings.width / scale,
                model.vae.config.latent_channels,
            ),
            copies: if settings.guided() { 2 } else { 1 },
            passes: if settings.guided() { model.passes.get() } else { 1 },
            guidance,
            registers,
            clip_skip: settings.clip_skip,
            activations: model.activations.get(),
            vae_activations: model.vae_activations.get(),
        })
    }

    /// The register that takes the predicted clean latent.
    pub const fn preview_register(&self) -> usize {
        self.registers - 1
    }
}

/// Resident buffers of a generation.
pub struct Buffers {
    /// u32 `[copies · images][tokens]`
    pub tokens: Resident,
    /// For every pass the keys and values, one `[batch of the pass, tokens, 2 · channels]` per cross attention.
    pub key_values: Vec<Vec<(Resident, Shape)>>,
    /// f32 `[copies · images]`
    pub timesteps: Resident,
    /// f32 registers, see [`Registers`].
    pub state: Resident,
    pub program: Resident,
    pub guidance: Resident,
    /// u32: values that were infinite or NaN.
    pub not_finite: Resident,
    /// A program of no lines whose input scale undoes the VAE's scaling.
    pub decode_program: Resident,
    pub decode: DecodeBuffers,
}

/// What decoding reads and writes.
pub struct DecodeBuffers {
    pub tiling: Tiling,
    /// Registers of one tile; none where the whole latent is decoded from the sampler's registers.
    pub tile_state: Option<Resident>,
    /// u32 RGBA `[images][height][width]` of a tile.
    pub pixels: Resident,
}

/// The recordings after the prompt's.
pub struct Recordings {
    pub denoise: Recording,
    pub decode: Recording,
}

/// The three programs, ready to run, with what passes between them.
pub struct Programs<E: Executor> {
    pub key: Key,
    pub buffers: Buffers,
    /// None while the text encoder is released.
    pub prompt: RefCell<Option<E::Program>>,
    /// The tokens whose keys and values are in the buffers.
    pub encoded: RefCell<Option<Vec<u32>>>,
    pub denoise: E::Program,
    pub decode: E::Program,
}

impl<E: Executor> Programs<E> {
    pub fn new(model: &StableDiffusion<E>, key: Key) -> Result<Self> {
        let executor = &model.executor;
        let buffers = Buffers::new(model, &key, &mut |label, bytes| executor.create(label, bytes))?;
        let Recordings { denoise, decode } = record(model, &key, &buffers)?;
        // The largest plan first: the others then fit into its slots.
        let decode = executor.prepare(decode)?;
        let denoise = executor.prepare(denoise)?;
        Ok(Self { key, buffers, prompt: RefCell::new(None), encoded: RefCell::new(None), denoise, decode })
    }
}

impl Buffers {
    /// Asks `create` for every buffer; a planner can count instead of allocating.
    pub fn new<E: Executor>(
        model: &StableDiffusion<E>,
        key: &Key,
        create: &mut dyn FnMut(&str, u64) -> Result<Resident>,
    ) -> Result<Self> {
        let batch = key.copies * key.latents.batch;
        let tokens = model.prompt_tokens();
        let element = key.activations.element_bytes().unwrap_or(4);
        let mut key_values = Vec::new();
        for _ in 0..key.passes {
            let mut of_pass = Vec::new();
            for channels in model.unet.key_value_channels() {
                let shape = Shape::tokens(batch / key.passes, tokens, channels);
                of_pass.push((create("keys and values", (shape.elements() * element) as u64)?, shape));
            }
            key_values.push(of_pass);
        }
        Ok(Self {
            tokens: create("tokens", (batch * tokens * 4) as u64)?,
            key_values,
            timesteps: create("timesteps", (batch * 4) as u64)?,
            state: create("registers", Registers::bytes(key.registers, key.latents))?,
            program: create("sampler program", PROGRAM_BYTES)?,
            guidance: create("guidance settings", GUIDANCE_BYTES)?,
            not_finite: create("not finite", 4)?,
            decode_program: create("decode program", PROGRAM_BYTES)?,
            decode: DecodeBuffers::new(model, key, create)?,
        })
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        let others = [
            &self.tokens,
            &self.timesteps,
            &self.state,
            &self.program,
            &self.guidance,
            &self.not_finite,
            &self.decode_program,
            &self.decode.pixels,
        ];
        let key_values = self.key_values.iter().flatten().map(|(resident, _)| resident);
        others.into_iter().chain(key_values).chain(&self.decode.tile_state).map(Resident::bytes).sum()
    }
}

impl DecodeBuffers {
    /// For the largest tiles whose decoder can be recorded within the device's limits.
    fn new<E: Executor>(
        model: &StableDiffusion<E>,
        key: &Key,
        create: &mut dyn FnMut(&str, u64) -> Result<Resident>,
    ) -> Result<Self> {
        let mut tiling = Tiling::whole(key.latents);
        loop {
            let limit = match decoder_fits(model, key, tiling) {
                Ok(()) => break,
                Err(error) if error.kind == ErrorKind::DeviceLimit => error,
                Err(error) => return Err(error),
            };
            tiling = tiling.smaller().ok_or(limit)?;
        }
        let tile = tiling.tile_shape();
        let scale = model.size_step();
        let tile_state = if tiling.is_whole() {
            None
        } else {
            Some(create("tile registers", Registers::bytes(DECODE_REGISTERS, tile))?)
        };
        Ok(Self { tiling, tile_state, pixels: create("pixels", (tile.rows() * scale * scale * 4) as u64)? })
    }
}

/// Registers are the sampler's; a tile needs the sample alone, but a register file has three at least.
const DECODE_REGISTERS: usize = 3;

fn decoder_fits<E: Executor>(model: &StableDiffusion<E>, key: &Key, tiling: Tiling) -> Result<()> {
    let mut recorder = Recorder::new(model.executor.capabilities(), key.vae_activations)?;
    let tile = tiling.tile_shape();
    let latents = recorder.tensor("latents", tile.with_channels(padded_channels(tile.channels)))?;
    model.vae.forward(&mut recorder, latents).map(|_| ())
}

/// Records what follows the prompt.
pub fn record<E: Executor>(model: &StableDiffusion<E>, key: &Key, buffers: &Buffers) -> Result<Recordings> {
    Ok(Recordings { denoise: record_denoise(model, key, buffers)?, decode: record_decode(model, key, buffers)? })
}

/// Records the encoding of the prompt, keys and values included.
pub fn record_prompt<E: Executor>(
    model: &StableDiffusion<E>,
    encoder: &ClipTextModel,
    key: &Key,
    buffers: &Buffers,
) -> Result<Recording> {
    let mut recorder = Recorder::new(model.executor.capabilities(), key.activations)?;
    let batch = key.copies * key.latents.batch;
    let hidden = recorder.scoped("text_encoder", |recorder| {
        let prompts = batch - key.latents.batch;
        let skip = (key.clip_skip, prompts);
        encoder.forward_skipping(recorder, &buffers.tokens, batch, model.prompt_tokens(), skip)
    })?;
    for (pass, targets) in buffers.key_values.iter().enumerate() {
        let context = entries_of_pass(&mut recorder, hidden, pass, key.passes)?;
        let key_values = recorder.scoped("unet", |recorder| model.unet.key_values(recorder, context))?;
        for (tensor, (resident, _)) in key_values.into_iter().zip(targets) {
            copy_into(&mut recorder, tensor, resident)?;
        }
    }
    Ok(recorder.finish())
}

fn record_denoise<E: Executor>(model: &StableDiffusion<E>, key: &Key, buffers: &Buffers) -> Result<Recording> {
    let mut recorder = Recorder::new(model.executor.capabilities(), key.activations)?;
    let registers = Registers { state: &buffers.state, count: key.registers, shape: key.latents };
    let sample = model_input(&mut recorder, &registers, &buffers.program, key.copies / key.passes)?;
    let mut outputs = Vec::new();
    for key_values in &buffers.key_values {
        let key_values = key_values
            .iter()
            .map(|(resident, shape)| recorder.resident_tensor("keys and values", resident, *shape, key.activations))
            .collect::<Result<Vec<Tensor>>>()?;
        outputs.push(
            recorder
                .scoped("unet", |recorder| model.unet.forward(recorder, sample, &buffers.timesteps, &key_values))?,
        );
    }
    let output = one_batch(&mut recorder, &outputs)?;
    recorder.scoped("sampler", |recorder| {
        guidance(recorder, output, &registers, key.guidance, &buffers.guidance, &buffers.not_finite)?;
        sampler_step(recorder, &registers, &buffers.program, None)
    })?;
    Ok(recorder.finish())
}

/// The part of a batch that a pass runs on.
fn entries_of_pass(recorder: &mut Recorder, x: Tensor, pass: usize, passes: usize) -> Result<Tensor> {
    if passes == 1 {
        return Ok(x);
    }
    let batch = x.shape.batch / passes;
    let part = recorder.tensor("entries", Shape { batch, ..x.shape })?;
    copy_entries(recorder, x, pass * batch..(pass + 1) * batch, part, 0)?;
    Ok(part)
}

/// The outputs of all passes as one batch.
fn one_batch(recorder: &mut Recorder, outputs: &[Tensor]) -> Result<Tensor> {
    match outputs {
        [] => Err(Error::new(ErrorKind::Internal, "no pass of the network")),
        [output] => Ok(*output),
        [first, ..] => {
            let batch = first.shape.batch;
            let whole = recorder.tensor("outputs", Shape { batch: batch * outputs.len(), ..first.shape })?;
            for (pass, output) in outputs.iter().enumerate() {
                copy_entries(recorder, *output, 0..batch, whole, pass * batch)?;
            }
            Ok(whole)
        }
    }
}

fn record_decode<E: Executor>(model: &StableDiffusion<E>, key: &Key, buffers: &Buffers) -> Result<Recording> {
    let mut recorder = Recorder::new(model.executor.capabilities(), key.vae_activations)?;
    let registers = match &buffers.decode.tile_state {
        None => Registers { state: &buffers.state, count: key.registers, shape: key.latents },
        Some(state) => Registers { state, count: DECODE_REGISTERS, shape: buffers.decode.tiling.tile_shape() },
    };
    let latents = model_input(&mut recorder, &registers, &buffers.decode_program, 1)?;
    let picture = model.vae.forward(&mut recorder, latents)?;
    to_rgba(&mut recorder, picture, &buffers.decode.pixels)?;
    Ok(recorder.finish())
}
