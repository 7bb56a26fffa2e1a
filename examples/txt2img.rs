//! Text to image on any Vulkan adapter, with the engine that runs in the page.
//!
//! ```text
//! cargo run --release --example txt2img -- --model models/emoji --prompt "a red apple" --seed 1 --steps 20 -o out.png
//! ```

use std::cell::Cell;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use darkroom::gpu::{AdapterChoice, Gpu};
use darkroom::models::precision::Precision;
use darkroom::pipeline::observer::{Observer, Phase, Preview};
use darkroom::pipeline::settings::Settings;
use darkroom::pipeline::stable_diffusion::{Activations, LoadObserver, LoadOptions, StableDiffusion};
use darkroom::pipeline::txt2img::{Picture, txt2img};
use darkroom::record::Executor;
use darkroom::source::DirectoryFolder;
use lexopt::prelude::*;

const HELP: &str = "\
txt2img --model DIR --prompt TEXT [-o FILE]
  --negative TEXT        what should not be there
  --steps N              default 20
  --guidance X           default: as usual for the model; 1 and below: none
  --sampler ID           default: the model's own
  --eta X                fresh noise in DDIM
  --seed N               default 0
  --size WxH             default: as the model was trained
  --quantization NAME    f32, f16, q8_0 (default), q4_0
  --activations NAME     auto (default), f32, f16
  --adapter NAME         part of the adapter's name
  -o FILE                default out.png; a name that ends in .rgba gets the bare pixels";

struct Arguments {
    model: PathBuf,
    prompt: String,
    negative: String,
    steps: usize,
    guidance: Option<f64>,
    sampler: Option<String>,
    eta: Option<f64>,
    seed: u64,
    size: Option<(usize, usize)>,
    precision: Precision,
    activations: Activations,
    adapter: Option<String>,
    output: PathBuf,
}

fn parse() -> Result<Arguments, Box<dyn Error>> {
    let mut model = None;
    let mut prompt = None;
    let mut arguments = Arguments {
        model: PathBuf::new(),
        prompt: String::new(),
        negative: String::new(),
        steps: 20,
        guidance: None,
        sampler: None,
        eta: None,
        seed: 0,
        size: None,
        precision: Precision::default(),
        activations: Activations::Auto,
        adapter: None,
        output: "out.png".into(),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("model") => model = Some(PathBuf::from(parser.value()?)),
            Long("prompt") => prompt = Some(parser.value()?.string()?),
            Long("negative") => arguments.negative = parser.value()?.string()?,
            Long("steps") => arguments.steps = parser.value()?.parse()?,
            Long("guidance") => arguments.guidance = Some(parser.value()?.parse()?),
            Long("sampler") => arguments.sampler = Some(parser.value()?.string()?),
            Long("eta") => arguments.eta = Some(parser.value()?.parse()?),
            Long("seed") => arguments.seed = parser.value()?.parse()?,
            Long("size") => {
                let text = parser.value()?.string()?;
                let (width, height) = text.split_once('x').ok_or("--size wants WIDTHxHEIGHT")?;
                arguments.size = Some((width.parse()?, height.parse()?));
            }
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
            Long("adapter") => arguments.adapter = Some(parser.value()?.string()?),
            Short('o') | Long("output") => arguments.output = parser.value()?.into(),
            Short('h') | Long("help") => {
                println!("{HELP}");
                std::process::exit(0);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    arguments.model = model.ok_or("--model DIR is missing (--help lists all options)")?;
    arguments.prompt = prompt.ok_or("--prompt TEXT is missing (--help lists all options)")?;
    Ok(arguments)
}

/// Prints to the terminal.
struct Terminal {
    part: Cell<u64>,
}

impl LoadObserver for Terminal {
    fn loading(&self, done: u64, total: u64, part: &str) {
        let percent = done * 100 / total.max(1);
        if self.part.replace(percent) != percent {
            eprint!("\rloading {part}: {percent} %   ");
            let _ = std::io::stderr().flush();
        }
    }
}

impl Observer for Terminal {
    fn phase(&self, phase: Phase) {
        eprintln!("\r{phase:?}                    ");
    }

    fn truncated(&self, tokens: usize) {
        eprintln!("the prompt is too long: its last {tokens} tokens are left out");
    }

    fn step(&self, step: usize, steps: usize, seconds: f64, _preview: Option<Preview>) {
        eprint!("\rstep {step} of {steps}: {seconds:.2} s   ");
        let _ = std::io::stderr().flush();
    }
}

async fn draw(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let terminal = Terminal { part: Cell::new(0) };
    let gpu = Rc::new(Gpu::open(&AdapterChoice { name: arguments.adapter.clone(), ..AdapterChoice::default() }).await?);
    eprintln!("{}", gpu.capabilities().name);
    let folder = Rc::new(DirectoryFolder::new(&arguments.model));
    let options = LoadOptions { precision: arguments.precision, activations: arguments.activations };
    let model = StableDiffusion::load(gpu, folder, options, &terminal).await?;
    let (width, height) = arguments.size.unwrap_or_else(|| model.default_size());
    let guidance = if model.is_distilled() { 0.0 } else { model.usual_guidance() };
    let settings = Settings {
        negative_prompts: vec![arguments.negative],
        steps: arguments.steps,
        guidance: arguments.guidance.unwrap_or(guidance),
        sampler: arguments.sampler,
        eta: arguments.eta,
        seeds: vec![arguments.seed],
        width,
        height,
        ..Settings::new(arguments.prompt, width)
    };
    let plan = model.plan(&settings)?;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    eprintln!(
        "weights {:.1} MiB, activations {:.1} MiB, {} dispatches a step",
        mebibytes(plan.weight_bytes),
        mebibytes(plan.activation_bytes),
        plan.dispatches_per_step
    );
    let outcome = txt2img(&model, &settings, &terminal).await?;
    let picture = outcome.pictures.first().ok_or("no picture")?;
    save(picture, &arguments.output)?;
    let timings = outcome.timings;
    eprintln!(
        "\rtext {:.2} s, denoising {:.2} s, decoding {:.2} s: {}",
        timings.text,
        timings.denoise,
        timings.decode,
        arguments.output.display()
    );
    Ok(())
}

fn save(picture: &Picture, path: &Path) -> Result<(), Box<dyn Error>> {
    if path.extension().is_some_and(|extension| extension == "rgba") {
        return Ok(std::fs::write(path, &picture.rgba)?);
    }
    let file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(file, picture.width as u32, picture.height as u32);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&picture.rgba)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    pollster::block_on(draw(parse()?))
}
