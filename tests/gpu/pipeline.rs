//! The whole pipeline on the built-in model: what must hold however a run goes.

use std::cell::Cell;
use std::rc::Rc;

use darkroom::error::{ErrorKind, Result};
use darkroom::gpu::{AdapterChoice, Gpu};
use darkroom::models::precision::Precision;
use darkroom::pipeline::observer::{Observer, Preview, Unobserved};
use darkroom::pipeline::settings::Settings;
use darkroom::pipeline::stable_diffusion::{Activations, LoadOptions, StableDiffusion};
use darkroom::pipeline::txt2img::{Outcome, txt2img};
use darkroom::record::Executor;
use darkroom::source::{DirectoryFolder, Folder, MemoryFolder};
use libtest_mimic::{Failed, Trial};
use pollster::block_on;

use crate::harness::{adapter, with_gpu};

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("pipeline.cancel_then_generate", cancel_then_generate),
        Trial::test("pipeline.a_released_text_encoder_comes_back", a_released_text_encoder_comes_back),
        Trial::test("pipeline.two_passes_equal_one_batch", two_passes_equal_one_batch),
        Trial::test("pipeline.tiles_where_a_binding_is_small", tiles_where_a_binding_is_small),
        Trial::test("pipeline.overflow_is_drawn_again_in_f32", overflow_is_drawn_again_in_f32),
        Trial::test("pipeline.buffers_are_destroyed", buffers_are_destroyed),
    ]
}

fn built_in() -> Rc<dyn Folder> {
    Rc::new(DirectoryFolder::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models/emoji")))
}

fn load(gpu: &Rc<Gpu>, folder: Rc<dyn Folder>, activations: Activations) -> Result<StableDiffusion<Gpu>> {
    let options = LoadOptions { precision: Precision::Q8_0, activations };
    block_on(StableDiffusion::load(gpu.clone(), folder, options, &Unobserved))
}

fn settings(steps: usize) -> Settings {
    Settings { steps, guidance: 4.0, seeds: vec![7], ..Settings::new("a red apple", 64) }
}

fn draw(model: &StableDiffusion<Gpu>, settings: &Settings) -> Result<Outcome> {
    block_on(txt2img(model, settings, &Unobserved))
}

/// Decibels between two pictures.
fn signal_to_noise(a: &Outcome, b: &Outcome) -> f64 {
    let (a, b) = (&a.pictures[0].rgba, &b.pictures[0].rgba);
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    20.0 * (255.0 / (squares / a.len() as f64).sqrt()).log10()
}

fn expect(holds: bool, sentence: impl Into<String>) -> std::result::Result<(), Failed> {
    if holds { Ok(()) } else { Err(sentence.into().into()) }
}

/// Cancels after a number of steps.
struct Impatient {
    steps: Cell<usize>,
}

impl Observer for Impatient {
    fn cancelled(&self) -> bool {
        self.steps.get() == 0
    }

    fn step(&self, _step: usize, _steps: usize, _seconds: f64, _preview: Option<Preview>) {
        self.steps.set(self.steps.get() - 1);
    }
}

fn cancel_then_generate() -> std::result::Result<(), Failed> {
    with_gpu(|gpu| {
        let model = load(&gpu?, built_in(), Activations::Auto)?;
        let undisturbed = draw(&model, &settings(3))?;
        let cancelled = block_on(txt2img(&model, &settings(3), &Impatient { steps: Cell::new(1) }));
        let kind = cancelled.map(|_| ()).map_err(|error| error.kind);
        expect(kind == Err(ErrorKind::Cancelled), format!("{kind:?}"))?;
        let again = draw(&model, &settings(3))?;
        expect(again.pictures == undisturbed.pictures, "another picture after a cancelled run")
    })
}

fn a_released_text_encoder_comes_back() -> std::result::Result<(), Failed> {
    with_gpu(|gpu| {
        let model = load(&gpu?, built_in(), Activations::Auto)?;
        let other = Settings { prompts: vec!["a blue car".into()], ..settings(1) };
        let first = draw(&model, &settings(1))?;
        let second = draw(&model, &other)?;
        let held = model.executor().memory().0;
        model.release_text_encoder_after_use();
        model.forget_programs();
        let first_again = draw(&model, &settings(1))?;
        let second_again = draw(&model, &other)?;
        let lean = model.executor().memory().0;
        expect(lean + (6 << 20) < held, format!("{lean} of {held} bytes are still held"))?;
        let same = first_again.pictures == first.pictures && second_again.pictures == second.pictures;
        expect(same && first.pictures != second.pictures, "other pictures without the resident text encoder")
    })
}

fn two_passes_equal_one_batch() -> std::result::Result<(), Failed> {
    with_gpu(|gpu| {
        let model = load(&gpu?, built_in(), Activations::F32)?;
        let one_batch = draw(&model, &settings(2))?;
        let plan = model.plan(&settings(2))?;
        model.guide_in_two_passes();
        let two_passes = draw(&model, &settings(2))?;
        let smaller = model.plan(&settings(2))?;
        let noise = signal_to_noise(&one_batch, &two_passes);
        expect(noise > 60.0, format!("the pictures differ: {noise:.1} dB"))?;
        expect(smaller.dispatches_per_step > plan.dispatches_per_step, "the second plan has no more dispatches")
    })
}

fn tiles_where_a_binding_is_small() -> std::result::Result<(), Failed> {
    with_gpu(|gpu| {
        let settings = Settings { guidance: 0.0, width: 96, height: 96, ..settings(1) };
        let whole = draw(&load(&gpu?, built_in(), Activations::F32)?, &settings)?;
        // One picture's widest activation takes 2.4 MB, the largest weights 1.4 MB.
        let choice = AdapterChoice { most_binding_bytes: Some(2 << 20), ..adapter() };
        let small = Rc::new(block_on(Gpu::open(&choice))?);
        std::mem::forget(small.clone());
        let tiled = draw(&load(&small, built_in(), Activations::F32)?, &settings)?;
        let noise = signal_to_noise(&whole, &tiled);
        expect(tiled.pictures != whole.pictures, "the picture was decoded in one piece")?;
        expect(noise > 28.0, format!("the tiles do not fit together: {noise:.1} dB"))
    })
}

/// The built-in model with a first convolution so strong that f16 cannot hold its output.
fn overflowing() -> MemoryFolder {
    let mut folder = MemoryFolder::new("overflowing");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/models/emoji/");
    let files = [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "tokenizer/tokenizer_config.json",
        "tokenizer/special_tokens_map.json",
        "unet/config.json",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ];
    for file in files {
        folder.insert(file, std::fs::read(format!("{root}{file}")).unwrap());
    }
    let mut unet = std::fs::read(format!("{root}unet/diffusion_pytorch_model.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(unet[..8].try_into().unwrap()) as usize;
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&unet).unwrap();
    let (begin, end) = metadata.info("conv_in.weight").unwrap().data_offsets;
    for value in unet[header + begin..header + end].chunks_exact_mut(2) {
        let scaled = half::f16::from_le_bytes([value[0], value[1]]).to_f32() * 60_000.0;
        value.copy_from_slice(&half::f16::from_f32(scaled.clamp(-60_000.0, 60_000.0)).to_le_bytes());
    }
    folder.insert("unet/diffusion_pytorch_model.safetensors", unet);
    folder
}

fn overflow_is_drawn_again_in_f32() -> std::result::Result<(), Failed> {
    with_gpu(|gpu| {
        let gpu = gpu?;
        let model = load(&gpu, Rc::new(overflowing()), Activations::Auto)?;
        let outcome = draw(&model, &settings(1))?;
        expect(outcome.retried_in_f32 == gpu.capabilities().f16, "the overflow was not noticed")?;
        expect(outcome.latents.iter().all(|value| value.is_finite()), "infinite latents")
    })
}

fn buffers_are_destroyed() -> std::result::Result<(), Failed> {
    with_gpu(|gpu| {
        let gpu = gpu?;
        gpu.collect();
        gpu.trim();
        let before = gpu.memory();
        let model = load(&gpu, built_in(), Activations::Auto)?;
        draw(&model, &settings(1))?;
        let during = gpu.memory();
        expect(during.0 > before.0 + model.weight_bytes() && during.1 > 0, format!("{during:?} bytes while in use"))?;
        drop(model);
        gpu.collect();
        gpu.trim();
        expect(gpu.memory() == before, format!("{:?} bytes left of {during:?}, before {before:?}", gpu.memory()))
    })
}
