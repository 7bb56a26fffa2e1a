//! `cargo xtask full-size DIR`: loads a checkpoint of full size, tells what it takes, draws one picture in one step, and
//! checks dispatches of that run against the reference executor.
//!
//! Decision: the reference computes single dispatches on the very inputs that the device had, spread over the network
//! and over the kernels, because a whole pass of 180 GFLOP would take it an hour. Rejected: comparing only the picture,
//! which for random weights is noise either way.

mod sampled;

use std::cell::Cell;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use darkroom::gpu::{AdapterChoice, Gpu};
use darkroom::models::precision::Precision;
use darkroom::pipeline::observer::{Observer, Preview};
use darkroom::pipeline::settings::Settings;
use darkroom::pipeline::stable_diffusion::{Activations, LoadObserver, LoadOptions, StableDiffusion};
use darkroom::pipeline::txt2img::txt2img;
use darkroom::record::Executor;
use darkroom::source::DirectoryFolder;
use lexopt::prelude::*;

const HELP: &str = "\
cargo xtask full-size [OPTIONS] DIR
  --quantization NAME   f16, q8_0 (default), q4_0
  --activations NAME    auto (default), f32, f16
  --size N              side of the picture to draw, default 256; 0 only loads and plans
  --adapter NAME        part of the adapter's name
  --hardware            the kernels and dispatches of a real GPU, on whatever adapter
  --samples N           dispatches to check, default 24";

struct Arguments {
    folder: PathBuf,
    precision: Precision,
    activations: Activations,
    size: usize,
    adapter: Option<String>,
    hardware: bool,
    samples: usize,
}

fn parse() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments {
        folder: PathBuf::new(),
        precision: Precision::default(),
        activations: Activations::Auto,
        size: 256,
        adapter: None,
        hardware: false,
        samples: 24,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quantization") => {
                let name = parser.value()?.string()?;
                arguments.precision = Precision::from_name(&name).ok_or(format!("no quantisation {name}"))?;
            }
            Long("activations") => {
                arguments.activations = match parser.value()?.string()?.as_str() {
                    "auto" => Activations::Auto,
                    "f32" => Activations::F32,
                    "f16" => Activations::F16,
                    other => return Err(format!("no activations {other}").into()),
                }
            }
            Long("size") => arguments.size = parser.value()?.parse()?,
            Long("adapter") => arguments.adapter = Some(parser.value()?.string()?),
            Long("hardware") => arguments.hardware = true,
            Long("samples") => arguments.samples = parser.value()?.parse()?,
            Long("help") | Short('h') => {
                println!("{HELP}");
                std::process::exit(0);
            }
            Value(folder) if arguments.folder.as_os_str().is_empty() => arguments.folder = folder.into(),
            other => return Err(other.unexpected().into()),
        }
    }
    if arguments.folder.as_os_str().is_empty() {
        return Err("name the folder of a model (--help lists the options)".into());
    }
    Ok(arguments)
}

struct Terminal {
    part: Cell<u64>,
}

impl LoadObserver for Terminal {
    fn loading(&self, done: u64, total: u64, part: &str) {
        let tenth = done * 10 / total.max(1);
        if self.part.replace(tenth) != tenth {
            eprintln!("loading {part}: {} %", tenth * 10);
        }
    }
}

impl Observer for Terminal {
    fn step(&self, step: usize, steps: usize, seconds: f64, _preview: Option<Preview>) {
        println!("step {step} of {steps}: {seconds:.1} s");
    }
}

fn tell_plan(model: &StableDiffusion<Gpu>, size: usize) -> Result<(), Box<dyn Error>> {
    let settings = Settings { guidance: if model.is_distilled() { 0.0 } else { 7.5 }, ..Settings::new("", size) };
    let plan = model.plan(&settings)?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "{size}×{size}{}: weights {:.0} MB, activations {:.0} MB, in all {:.0} MB; {} dispatches a step, {:.0} GFLOP a \
         step, {:.0} GFLOP to decode",
        if settings.guided() { " with guidance" } else { "" },
        megabytes(plan.weight_bytes),
        megabytes(plan.activation_bytes),
        megabytes(plan.weight_bytes + plan.activation_bytes),
        plan.dispatches_per_step,
        plan.operations_per_step as f64 / 1e9,
        plan.operations_of_decoder as f64 / 1e9,
    );
    Ok(())
}

fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let gpu = Rc::new(pollster::block_on(Gpu::open(&AdapterChoice {
        name: arguments.adapter.clone(),
        as_hardware: arguments.hardware,
        ..AdapterChoice::default()
    }))?);
    println!("adapter: {}", gpu.capabilities().name);
    // 1. Load
    let clock = Instant::now();
    let folder = DirectoryFolder::new(&arguments.folder);
    let options = LoadOptions { precision: arguments.precision, activations: arguments.activations };
    let terminal = Terminal { part: Cell::new(0) };
    let model = pollster::block_on(StableDiffusion::load(gpu.clone(), &folder, options, &terminal))?;
    println!("loaded as {} in {:.1} s", arguments.precision.name(), clock.elapsed().as_secs_f64());
    // 2. Plan
    tell_plan(&model, 256)?;
    tell_plan(&model, 512)?;
    if arguments.size == 0 {
        return Ok(true);
    }
    // 3. One picture in one step
    let settings = Settings {
        steps: 1,
        guidance: 0.0,
        seeds: vec![1],
        ..Settings::new("a photograph of an astronaut riding a horse", arguments.size)
    };
    let outcome = pollster::block_on(txt2img(&model, &settings, &terminal))?;
    let timings = outcome.timings;
    println!(
        "drawn at {0}×{0}: text {1:.1} s, denoising {2:.1} s, decoding {3:.1} s; peak on the device {4:.0} MB",
        arguments.size,
        timings.text,
        timings.denoise,
        timings.decode,
        (gpu.memory().0 + gpu.memory().1) as f64 / 1e6
    );
    model.forget_programs();
    gpu.trim();
    // 4. Dispatches against the reference
    sampled::check(&model, &settings, arguments.samples)
}

fn main() -> ExitCode {
    match parse().and_then(|arguments| run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
