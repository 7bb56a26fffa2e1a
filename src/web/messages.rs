//! Settings in and descriptions out, as JSON (`www/src/engine/contract.ts`).

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::plan::Plan;
use crate::pipeline::settings::Settings;
use crate::pipeline::stable_diffusion::StableDiffusion;
use crate::record::{Capabilities, Executor};
use crate::sampler::table;

/// The page's `Settings`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageSettings {
    prompt: String,
    #[serde(default)]
    negative_prompt: String,
    steps: usize,
    guidance: f64,
    sampler: String,
    seed: String,
    width: usize,
    height: usize,
    #[serde(default)]
    eta: Option<f64>,
}

/// Parses the page's settings.
pub fn settings(json: &str) -> Result<Settings> {
    let refuse = |sentence: String| Error::new(ErrorKind::InvalidSetting, sentence);
    let page: PageSettings = serde_json::from_str(json).map_err(|error| refuse(format!("The settings: {error}")))?;
    let seed = page
        .seed
        .trim()
        .parse()
        .map_err(|_| refuse(format!("The seed {} is not a whole number from 0 to 2⁶⁴ - 1", page.seed)))?;
    Ok(Settings {
        negative_prompts: vec![page.negative_prompt],
        steps: page.steps,
        guidance: page.guidance,
        sampler: (page.sampler != table::MODEL_DEFAULT).then_some(page.sampler),
        eta: page.eta,
        seeds: vec![seed],
        width: page.width,
        height: page.height,
        ..Settings::new(page.prompt, page.width)
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Device<'a> {
    name: &'a str,
    f16: bool,
    subgroups: bool,
    max_buffer_bytes: u64,
    max_binding_bytes: u64,
}

/// The page's `Device`.
pub fn device(capabilities: &Capabilities) -> String {
    to_json(&Device {
        name: &capabilities.name,
        f16: capabilities.f16,
        subgroups: capabilities.subgroups,
        max_buffer_bytes: capabilities.max_buffer_bytes,
        max_binding_bytes: capabilities.max_binding_bytes,
    })
}

#[derive(Serialize)]
struct SamplerChoice {
    id: &'static str,
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelInfo<'a> {
    name: &'a str,
    family: &'static str,
    sample_size: [usize; 2],
    size_step: usize,
    default_steps: usize,
    default_guidance: f64,
    default_sampler: &'static str,
    samplers: Vec<SamplerChoice>,
    prompt_tokens: usize,
    supports_negative: bool,
    weights_bytes: u64,
}

/// The page's `ModelInfo`.
pub fn model_info<E: Executor>(model: &StableDiffusion<E>) -> String {
    let (width, height) = model.default_size();
    let distilled = model.is_distilled();
    to_json(&ModelInfo {
        name: model.name(),
        family: model.family(),
        sample_size: [width, height],
        size_step: model.size_step(),
        default_steps: if distilled { 1 } else { 20 },
        default_guidance: if distilled { 0.0 } else { model.usual_guidance() },
        default_sampler: table::MODEL_DEFAULT,
        samplers: table::SAMPLERS.iter().map(|entry| SamplerChoice { id: entry.id, name: entry.name }).collect(),
        prompt_tokens: model.prompt_tokens(),
        supports_negative: !distilled,
        weights_bytes: model.weight_bytes(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PagePlan {
    weights_bytes: u64,
    activation_bytes: u64,
    dispatches_per_step: usize,
    calls: usize,
}

/// The page's `Plan`.
pub fn plan(plan: &Plan) -> String {
    to_json(&PagePlan {
        weights_bytes: plan.weight_bytes,
        activation_bytes: plan.activation_bytes,
        dispatches_per_step: plan.dispatches_per_step,
        calls: plan.calls,
    })
}

/// Structs of numbers and strings always serialise.
fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
