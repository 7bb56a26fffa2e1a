//! Stable Diffusion 1.x, 2.x and Turbo: every network call by itself, then the whole run.

use std::rc::Rc;

use darkroom::gpu::Gpu;
use darkroom::models::precision::Precision;
use darkroom::pipeline::observer::Unobserved;
use darkroom::pipeline::settings::Settings as Request;
use darkroom::pipeline::stable_diffusion::{Activations, LoadOptions, StableDiffusion};
use darkroom::pipeline::txt2img::txt2img;
use darkroom::sampler::SchedulerConfig;
use darkroom::source::DirectoryFolder;
use darkroom::tensor::DType;
use pollster::block_on;
use serde_json::Value;

use crate::case::{Case, Expected};
use crate::comparison::Bar;
use crate::networks::{Bench, call_bar};
use crate::pooling::pooled;
use crate::report::{Report, Way};
use crate::{Result, Settings};

/// End to end in f32.
const LATENTS: Bar = Bar::RelativeRms(1e-3);
/// Eight-bit levels.
const PICTURE: Bar = Bar::MaxAbs(1.0);
/// With f16 activations.
const PICTURE_F16: Bar = Bar::SignalToNoise(38.0);

pub fn run(settings: &Settings, case: &Case, report: &mut Report) -> Result<()> {
    let class = case.text("pipeline_class")?;
    if class != "StableDiffusionPipeline" {
        report.unsupported(&format!("the engine has no {class} yet"));
        return Ok(());
    }
    if case.description.get("vae_override").is_some_and(|value| !value.is_null()) {
        report.unsupported("the engine has no AutoencoderTiny yet");
        return Ok(());
    }
    let bench = Bench::new(settings)?;
    let mut model = load(settings, &bench, case)?;
    model.set_scheduler(SchedulerConfig::from_json(&case.value("scheduler")?.to_string())?);
    let request = request(case)?;
    call_by_call(settings, &bench, &model, case, &request, report)?;
    end_to_end(settings, &model, case, &request, report)
}

fn load(settings: &Settings, bench: &Bench, case: &Case) -> Result<StableDiffusion<Gpu>> {
    let folder = Rc::new(DirectoryFolder::new(case.path("model")?));
    let activations = if settings.activations == DType::F16 { Activations::F16 } else { Activations::F32 };
    let options = LoadOptions { precision: Precision::F32, activations };
    Ok(block_on(StableDiffusion::load(Rc::clone(&bench.gpu), folder, options, &Unobserved))?)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => vec![String::new()],
    }
}

fn request(case: &Case) -> Result<Request> {
    let call = case.value("call")?.as_object().ok_or("call is no object")?;
    let number = |key: &str| call.get(key).and_then(Value::as_f64);
    let count = |key: &str| call.get(key).and_then(Value::as_u64).map(|value| value as usize);
    let prompts = texts(call.get("prompt"));
    let per_prompt = count("num_images_per_prompt").unwrap_or(1);
    let each = |texts: Vec<String>| texts.iter().flat_map(|text| vec![text.clone(); per_prompt]).collect::<Vec<_>>();
    let seed = case.value("seed")?;
    let seeds = match seed {
        Value::Array(seeds) => seeds.iter().filter_map(Value::as_u64).collect(),
        seed => vec![seed.as_u64().ok_or("seed is no number")?],
    };
    let known = [
        "prompt",
        "negative_prompt",
        "height",
        "width",
        "guidance_scale",
        "guidance_rescale",
        "num_inference_steps",
        "num_images_per_prompt",
        "eta",
        "clip_skip",
    ];
    if let Some(unknown) = call.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("the call has the unknown argument {unknown}").into());
    }
    Ok(Request {
        prompts: each(prompts),
        negative_prompts: each(texts(call.get("negative_prompt"))),
        steps: count("num_inference_steps").unwrap_or(50),
        guidance: number("guidance_scale").unwrap_or(7.5),
        guidance_rescale: number("guidance_rescale").unwrap_or(0.0),
        sampler: None,
        eta: number("eta"),
        seeds,
        width: count("width").ok_or("no width")?,
        height: count("height").ok_or("no height")?,
        clip_skip: count("clip_skip").unwrap_or(0),
    })
}

fn call_by_call(
    settings: &Settings,
    bench: &Bench,
    model: &StableDiffusion<Gpu>,
    case: &Case,
    request: &Request,
    report: &mut Report,
) -> Result<()> {
    let bar = call_bar(settings);
    let (unet, vae) = model.networks();
    let text = block_on(model.text_encoder())?;
    let mut compare = |name: &str, actual: &[f32]| -> Result<()> {
        let expected = case.tensor(name)?;
        report.compare(name, Way::Call, &expected.shape, (&expected.values, actual), bar);
        Ok(())
    };
    // 1. Text encoder
    for index in 0.. {
        let Some(ids) = case.find(&format!("text_encoder.{index}.input_ids")) else { break };
        let hidden = bench.text(&text, ids)?;
        let name = format!("text_encoder.{index}.last_hidden_state");
        if case.find(&name).is_some() {
            compare(&name, &hidden)?;
        }
        let name = format!("text_encoder.{index}.pooler_output");
        if case.find(&name).is_some() {
            compare(&name, &pooled(&text.config, ids, &hidden))?;
        }
    }
    // 2. UNet. What equals the last one stored is not stored again.
    let sampler = model.sampler(request)?;
    let mut context = None;
    let mut timestep = None;
    for (index, call) in sampler.calls().iter().enumerate() {
        let Some(output) = case.find(&format!("unet.{index}.output")) else {
            return Err(format!("the reference made only {index} calls of the UNet").into());
        };
        context = case.find(&format!("unet.{index}.encoder_hidden_states")).or(context);
        let batch = output.shape.first().copied().unwrap_or(1);
        timestep = case.find(&format!("unet.{index}.timestep")).or(timestep);
        let timestep = timestep.ok_or("no timestep is stored")?.floats();
        let timesteps: Vec<f32> = (0..batch).map(|entry| timestep[entry.min(timestep.len() - 1)]).collect();
        let sample = match case.find(&format!("unet.{index}.sample")) {
            Some(sample) => sample.clone(),
            None => scaled_copies(previous_latents(case, index)?, call.input_scale, batch),
        };
        let context = context.ok_or("no hidden states are stored")?;
        compare(&format!("unet.{index}.output"), &bench.unet(unet, &sample, &timesteps, context)?)?;
    }
    // 3. Decoder
    let decoded = bench.decode(vae, case.tensor("vae.decode.0.input")?)?;
    if case.find("vae.decode.0.output").is_some() {
        compare("vae.decode.0.output", &decoded)?;
    }
    let picture: Vec<f32> = decoded.iter().map(|&value| (value / 2.0 + 0.5).clamp(0.0, 1.0)).collect();
    let expected = case.tensor("image.f32")?;
    compare("image.f32", &channels_last(&picture, &expected.shape))
}

fn previous_latents(case: &Case, call: usize) -> Result<&Expected> {
    match call.checked_sub(1) {
        None => case.tensor("latents.initial"),
        Some(previous) => case.tensor(&format!("step.{previous}.latents")),
    }
}

/// As the pipeline feeds it: all images once per half of the guidance batch.
fn scaled_copies(latents: &Expected, scale: f64, batch: usize) -> Expected {
    let images = latents.shape.first().copied().unwrap_or(1);
    let scaled: Vec<f64> = latents.values.iter().map(|value| value * scale).collect();
    let mut shape = latents.shape.clone();
    if let Some(first) = shape.first_mut() {
        *first = batch;
    }
    Expected { shape, values: scaled.repeat(batch / images.max(1)) }
}

fn channels_last(planes: &[f32], shape: &[usize]) -> Vec<f32> {
    let [batch, height, width, channels] = shape[..] else { return Vec::new() };
    let positions = height * width;
    (0..batch * positions)
        .flat_map(|row| {
            let (image, position) = (row / positions, row % positions);
            (0..channels).map(move |channel| planes[(image * channels + channel) * positions + position])
        })
        .collect()
}

fn end_to_end(
    settings: &Settings,
    model: &StableDiffusion<Gpu>,
    case: &Case,
    request: &Request,
    report: &mut Report,
) -> Result<()> {
    let outcome = block_on(txt2img(model, request, &Unobserved))?;
    let last = model.sampler(request)?.calls().len() - 1;
    let way = Way::EndToEnd;
    let f16 = settings.activations == DType::F16;
    let name = format!("step.{last}.latents");
    let latents = case.tensor(&name)?;
    if !f16 {
        report.compare(&name, way, &latents.shape, (&latents.values, &outcome.latents), LATENTS);
    }
    let rgb: Vec<u8> = outcome
        .pictures
        .iter()
        .flat_map(|picture| picture.rgba.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec()))
        .collect();
    let picture = case.tensor("image.u8")?;
    let bar = if f16 { PICTURE_F16 } else { PICTURE };
    report.compare("image.u8", way, &picture.shape, (&picture.values, &rgb), bar);
    Ok(())
}
