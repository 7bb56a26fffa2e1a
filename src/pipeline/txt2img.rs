//! Text to image: prompt and seed in, picture out (diffusers `pipelines/stable_diffusion`).

use web_time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::ops::sampling::{Line, encode_guidance, encode_program};
use crate::pipeline::latents::{NoiseSource, read_register, register_index, to_planes, write_register};
use crate::pipeline::observer::{Observer, Phase, Unobserved, Watched};
use crate::pipeline::programs::{Buffers, DecodeBuffers, Key, Programs, record, record_prompt};
use crate::pipeline::settings::Settings;
use crate::pipeline::stable_diffusion::StableDiffusion;
use crate::pipeline::tiling::{Mosaic, Tile};
use crate::record::{Executor, Recording};
use crate::sampler::{Call, Options, Register, Sampler, table};
use crate::tensor::{DType, padded_channels};

/// RGBA, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub rgba: Vec<u8>,
}

/// Seconds by phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    pub text: f64,
    pub denoise: f64,
    pub decode: f64,
}

impl Timings {
    pub fn total(&self) -> f64 {
        self.text + self.denoise + self.decode
    }
}

/// What a generation returns.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub pictures: Vec<Picture>,
    /// The final latents, `[image][channel][height][width]`, as the reference orders them.
    pub latents: Vec<f32>,
    pub timings: Timings,
    /// Values overflowed f16, so the picture was drawn again in f32.
    pub retried_in_f32: bool,
}

/// Runs the pipeline. A lack of memory is answered once by guidance in two passes, non-finite values once by f32
/// activations; what fails then is the caller's.
pub async fn txt2img<E: Executor>(
    model: &StableDiffusion<E>,
    settings: &Settings,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let mut retried_in_f32 = false;
    loop {
        let error = match run(model, settings, observer).await {
            Ok(outcome) => return Ok(Outcome { retried_in_f32, ..outcome }),
            Err(error) => error,
        };
        let short = matches!(error.kind, ErrorKind::OutOfMemory | ErrorKind::DeviceLimit);
        if short && settings.guided() && model.passes.get() == 1 {
            model.guide_in_two_passes();
            model.release_text_encoder_after_use();
        } else if error.kind == ErrorKind::NonFinite && model.uses_f16() {
            model.activations.set(DType::F32);
            model.vae_activations.set(DType::F32);
            retried_in_f32 = true;
        } else {
            return Err(error);
        }
        model.forget_programs();
    }
}

async fn run<E: Executor>(model: &StableDiffusion<E>, settings: &Settings, observer: &dyn Observer) -> Result<Outcome> {
    // 1. Check the request
    settings.check(model.size_step())?;
    let sampler = model.sampler(settings)?;
    let key = Key::new(model, settings, sampler.memories())?;
    // 2. Programs for this shape, kept for the next picture
    let taken = model.programs.borrow_mut().take().filter(|programs| programs.key == key);
    let programs = match taken {
        Some(programs) => programs,
        None => {
            model.executor.collect();
            Programs::new(model, key)?
        }
    };
    // Whatever happens now, the programs stay with the model.
    let outcome = generate(model, settings, &sampler, &programs, observer).await;
    *model.programs.borrow_mut() = Some(programs);
    outcome
}

async fn generate<E: Executor>(
    model: &StableDiffusion<E>,
    settings: &Settings,
    sampler: &Sampler,
    programs: &Programs<E>,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let executor = &*model.executor;
    let mut timings = Timings::default();
    let mut clock = Instant::now();
    // 3. Encode the prompt
    observer.phase(Phase::Text);
    let tokens = tokens(model, settings, observer)?;
    encode_prompt(model, programs, tokens, observer).await?;
    timings.text = lap(&mut clock);
    // 4. Noise of the seed
    observer.phase(Phase::Denoise);
    let mut noise = NoiseSource::new(settings);
    let initial = noise.draw(&programs.key, sampler.initial_scale());
    write_register(executor, &programs.key, &programs.buffers, 0, &initial)?;
    let guidance = encode_guidance(settings.guidance as f32, settings.guidance_rescale as f32);
    executor.write(&programs.buffers.guidance, 0, &guidance)?;
    executor.write(&programs.buffers.not_finite, 0, &[0; 4])?;
    // 5. Denoise
    let steps = sampler.calls().len();
    for (index, call) in sampler.calls().iter().enumerate() {
        let begin = Instant::now();
        let preview = observer.wants_preview();
        prepare_call(executor, &programs.key, &programs.buffers, call, &mut noise, preview)?;
        executor.run(&programs.denoise, &Watched(observer)).await?;
        let picture = if preview { Some(read_preview(model, programs).await?) } else { None };
        observer.step(index + 1, steps, begin.elapsed().as_secs_f64(), picture);
    }
    check_finite(executor, programs, "denoising").await?;
    timings.denoise = lap(&mut clock);
    // 6. Decode
    observer.phase(Phase::Decode);
    let scale = 1.0 / model.vae.config.scaling_factor;
    executor.write(&programs.buffers.decode_program, 0, &encode_program(&[], scale, 0.0)?)?;
    let latents = read_register(executor, programs, 0).await?;
    let pictures = decode(model, programs, &latents, observer).await?;
    timings.decode = lap(&mut clock);
    learn_preview(model, programs, &latents, &pictures);
    let latents = to_planes(&programs.key, &latents);
    Ok(Outcome { pictures, latents, timings, retried_in_f32: false })
}

impl<E: Executor> StableDiffusion<E> {
    /// The sampler that the settings ask for, on the model's own schedule.
    pub fn sampler(&self, settings: &Settings) -> Result<Sampler> {
        let options = Options { eta: settings.eta, ..Options::new(settings.steps) };
        table::build(settings.sampler.as_deref(), &self.scheduler, &options)
    }

    /// The recordings of a generation by name, with their buffers filled as for the first call; for checking them one
    /// dispatch at a time.
    pub async fn recordings(&self, settings: &Settings) -> Result<[(&'static str, Recording); 3]> {
        settings.check(self.size_step())?;
        let sampler = self.sampler(settings)?;
        let key = Key::new(self, settings, sampler.memories())?;
        let buffers = Buffers::new(self, &key, &mut |label, bytes| self.executor.create(label, bytes))?;
        let tokens = tokens(self, settings, &Unobserved)?;
        self.executor.write(&buffers.tokens, 0, bytemuck::cast_slice(&tokens))?;
        let mut noise = NoiseSource::new(settings);
        let initial = noise.draw(&key, sampler.initial_scale());
        self.executor.write(&buffers.state, 0, bytemuck::cast_slice(&initial))?;
        let guidance = encode_guidance(settings.guidance as f32, settings.guidance_rescale as f32);
        self.executor.write(&buffers.guidance, 0, &guidance)?;
        let scale = 1.0 / self.vae.config.scaling_factor;
        self.executor.write(&buffers.decode_program, 0, &encode_program(&[], scale, 0.0)?)?;
        if let Some(call) = sampler.calls().first() {
            prepare_call(&*self.executor, &key, &buffers, call, &mut noise, false)?;
        }
        let encoder = self.text_encoder().await?;
        let prompt = record_prompt(self, &encoder, &key, &buffers)?;
        let recordings = record(self, &key, &buffers)?;
        Ok([("prompt", prompt), ("denoise", recordings.denoise), ("decode", recordings.decode)])
    }

    fn uses_f16(&self) -> bool {
        [&self.activations, &self.vae_activations].into_iter().any(|dtype| dtype.get() == DType::F16)
    }
}

/// Leaves the keys and values of the prompt in the buffers; those of an unchanged prompt are there already.
async fn encode_prompt<E: Executor>(
    model: &StableDiffusion<E>,
    programs: &Programs<E>,
    tokens: Vec<u32>,
    observer: &dyn Observer,
) -> Result<()> {
    if programs.encoded.borrow().as_ref() == Some(&tokens) {
        return Ok(());
    }
    let executor = &*model.executor;
    *programs.encoded.borrow_mut() = None;
    // Taken, not borrowed: nothing stays borrowed while we wait.
    let taken = programs.prompt.borrow_mut().take();
    let program = match taken {
        Some(program) => program,
        None => {
            let encoder = model.text_encoder().await?;
            executor.prepare(record_prompt(model, &encoder, &programs.key, &programs.buffers)?)?
        }
    };
    executor.write(&programs.buffers.tokens, 0, bytemuck::cast_slice(&tokens))?;
    executor.run(&program, &Watched(observer)).await?;
    *programs.encoded.borrow_mut() = Some(tokens);
    if model.releases_text_encoder.get() {
        drop(program);
        model.release_text_encoder();
    } else {
        *programs.prompt.borrow_mut() = Some(program);
    }
    Ok(())
}

/// Token ids, negative prompts first, as the batch has them.
fn tokens<E: Executor>(model: &StableDiffusion<E>, settings: &Settings, observer: &dyn Observer) -> Result<Vec<u32>> {
    let images = settings.images();
    let negatives = (0..images).filter(|_| settings.guided()).map(|image| settings.negative_prompt(image));
    let prompts = settings.prompts.iter().map(String::as_str);
    let mut all = Vec::new();
    let mut dropped = 0;
    let length = model.prompt_tokens();
    for prompt in negatives.chain(prompts) {
        let padded = model.tokenizer.encode_padded(prompt);
        if padded.ids.len() != length {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("The tokenizer gives {} tokens, the text encoder takes {length}", padded.ids.len()),
            ));
        }
        dropped = dropped.max(padded.truncated);
        all.extend(padded.ids);
    }
    let vocabulary = model.text_config.vocab_size as u32;
    if let Some(beyond) = all.iter().find(|&&token| token >= vocabulary) {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!(
                "The tokenizer gives token {beyond}, the text encoder knows {vocabulary}; they do not belong together"
            ),
        ));
    }
    if dropped > 0 {
        observer.truncated(dropped);
    }
    Ok(all)
}

/// Writes what changes from call to call: timestep, program, noise.
fn prepare_call<E: Executor>(
    executor: &E,
    key: &Key,
    buffers: &Buffers,
    call: &Call,
    noise: &mut NoiseSource,
    preview: bool,
) -> Result<()> {
    let timesteps = vec![call.timestep as f32; key.copies * key.latents.batch];
    executor.write(&buffers.timesteps, 0, bytemuck::cast_slice(&timesteps))?;
    if call.draws_noise {
        write_register(executor, key, buffers, register_index(Register::Noise), &noise.draw(key, 1.0))?;
    }
    let mut lines = Vec::new();
    if preview {
        let denoised = call.denoised;
        lines.push(Line {
            target: key.preview_register(),
            terms: vec![(0, denoised.sample as f32), (1, denoised.model_output as f32)],
            limit: denoised.clamp.map(|clamp| clamp as f32),
        });
    }
    lines.extend(call.step.iter().map(|combination| Line {
        target: register_index(combination.target),
        terms: combination.terms.iter().map(|&(register, factor)| (register_index(register), factor as f32)).collect(),
        limit: combination.clamp.map(|clamp| clamp as f32),
    }));
    executor.write(&buffers.program, 0, &encode_program(&lines, call.input_scale as f32, 0.0)?)
}

async fn read_preview<E: Executor>(
    model: &StableDiffusion<E>,
    programs: &Programs<E>,
) -> Result<crate::pipeline::observer::Preview> {
    check_finite(&*model.executor, programs, "denoising").await?;
    let latents = programs.key.latents;
    let values = read_register(&*model.executor, programs, programs.key.preview_register()).await?;
    let stride = padded_channels(latents.channels);
    Ok(model.preview.borrow().picture(&values, stride, latents.width, latents.height))
}

/// The kernel marks a pixel that was infinite or NaN by an alpha of zero.
fn finite_pixels(rgba: Vec<u8>) -> Result<Vec<u8>> {
    if rgba.iter().skip(3).step_by(4).all(|&alpha| alpha == 255) { Ok(rgba) } else { Err(not_finite("decoding")) }
}

fn not_finite(what: &str) -> Error {
    Error::new(
        ErrorKind::NonFinite,
        format!("The {what} gave infinite values, so there is no picture; try another seed, sampler or quantisation"),
    )
}

async fn check_finite<E: Executor>(executor: &E, programs: &Programs<E>, what: &str) -> Result<()> {
    let count = executor.read(&programs.buffers.not_finite, 0, 4).await?;
    if count.iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    Err(not_finite(what))
}

/// Runs the decoder, whole or tile by tile.
async fn decode<E: Executor>(
    model: &StableDiffusion<E>,
    programs: &Programs<E>,
    latents: &[f32],
    observer: &dyn Observer,
) -> Result<Vec<Picture>> {
    let executor = &*model.executor;
    let scale = model.size_step();
    let DecodeBuffers { tiling, tile_state, pixels } = &programs.buffers.decode;
    let tile = tiling.tile_shape();
    let whole = tiling.latents;
    let (width, height) = (whole.width * scale, whole.height * scale);
    let bytes = (tile.rows() * scale * scale * 4) as u64;
    let Some(state) = tile_state else {
        executor.run(&programs.decode, &Watched(observer)).await?;
        let data = finite_pixels(executor.read(pixels, 0, bytes).await?)?;
        let pictures = data.chunks_exact((width * height * 4).max(1));
        return Ok(pictures.map(|rgba| Picture { width, height, rgba: rgba.to_vec() }).collect());
    };
    let mut mosaics: Vec<Mosaic> = (0..whole.batch).map(|_| Mosaic::new(width, height)).collect();
    let stride = padded_channels(whole.channels);
    for Tile { image, top, left } in tiling.tiles() {
        let mut values = Vec::with_capacity(tile.rows() * stride);
        for row in top..top + tile.height {
            let first = ((image * whole.height + row) * whole.width + left) * stride;
            values.extend_from_slice(latents.get(first..first + tile.width * stride).unwrap_or_default());
        }
        executor.write(state, 0, bytemuck::cast_slice(&values))?;
        executor.run(&programs.decode, &Watched(observer)).await?;
        let rgba = finite_pixels(executor.read(pixels, 0, bytes).await?)?;
        if let Some(mosaic) = mosaics.get_mut(image) {
            mosaic.add(&rgba, tile.width * scale, top * scale, left * scale);
        }
    }
    Ok(mosaics.iter().map(|mosaic| Picture { width, height, rgba: mosaic.finish() }).collect())
}

/// The first finished picture of a model with an unknown VAE teaches the preview its colours.
fn learn_preview<E: Executor>(
    model: &StableDiffusion<E>,
    programs: &Programs<E>,
    latents: &[f32],
    pictures: &[Picture],
) {
    let key = &programs.key;
    let stride = padded_channels(key.latents.channels);
    let first = latents.get(..key.latents.positions() * stride);
    if let (Some(latent), Some(picture), false) = (first, pictures.first(), model.preview.borrow().is_known()) {
        model.preview.borrow_mut().fit(latent, stride, key.latents.width, &picture.rgba, model.size_step());
    }
}

fn lap(clock: &mut Instant) -> f64 {
    let seconds = clock.elapsed().as_secs_f64();
    *clock = Instant::now();
    seconds
}
