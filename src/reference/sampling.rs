//! Twins of `shaders/guidance.wgsl`, `guidance_rescale.wgsl`, `sampler_step.wgsl` and `model_input.wgsl`.

use crate::error::Result;
use crate::record::catalogue::parameters::{GuidanceParams, ModelInputParams, SamplerStepParams};
use crate::reference::Invocation;

/// The network's output with the prompt (`conditioned`) and without it, each `[images][positions][padded channels]`,
/// padding zero. Without guidance both are the same.
struct Outputs {
    conditioned: Vec<f32>,
    unconditioned: Vec<f32>,
}

impl Outputs {
    fn read(invocation: &Invocation, params: &GuidanceParams) -> Result<Self> {
        let network = invocation.elements("network")?;
        let rows = (params.images * params.positions) as usize;
        let half = |first: usize| -> Vec<f32> {
            let rows = network.chunks_exact(params.network_columns as usize * 4).skip(first).take(rows);
            rows.flat_map(|row| {
                (0..params.columns as usize * 4).map(|c| if c < params.channels as usize { row[c] } else { 0.0 })
            })
            .collect()
        };
        Ok(Self { conditioned: half(if params.guided != 0 { rows } else { 0 }), unconditioned: half(0) })
    }

    fn combined(&self, scale: f32) -> Vec<f32> {
        self.conditioned.iter().zip(&self.unconditioned).map(|(c, u)| u + scale * (c - u)).collect()
    }
}

pub fn guidance(invocation: &mut Invocation) -> Result<()> {
    let params: GuidanceParams = invocation.parameters()?;
    let settings = invocation.floats("settings")?;
    let ratios = invocation.floats("ratios")?;
    let mut state = invocation.floats("state")?;
    let mut not_finite = invocation.words("not_finite")?;
    let outputs = Outputs::read(invocation, &params)?;
    let count = |values: &[f32]| values.iter().filter(|value| !value.is_finite()).count() as u32;
    let mut bad = count(&outputs.conditioned);
    let mut values = outputs.conditioned.clone();
    if params.guided != 0 {
        bad += count(&outputs.unconditioned);
        values = outputs.combined(settings[0]);
        if params.rescaled != 0 {
            let image_elements = (params.positions * params.columns * 4) as usize;
            for (image, ratio) in values.chunks_exact_mut(image_elements).zip(ratios) {
                for value in image {
                    *value = settings[1] * (*value * ratio) + (1.0 - settings[1]) * *value;
                }
            }
        }
    }
    // The second register is the model's output.
    let elements = values.len();
    state[elements..2 * elements].copy_from_slice(&values);
    not_finite[0] += bad;
    invocation.store_floats("state", &state)?;
    invocation.store_words("not_finite", &not_finite)
}

pub fn guidance_rescale(invocation: &mut Invocation) -> Result<()> {
    let params: GuidanceParams = invocation.parameters()?;
    let settings = invocation.floats("settings")?;
    let outputs = Outputs::read(invocation, &params)?;
    let combined = outputs.combined(settings[0]);
    let image_elements = (params.positions * params.columns * 4) as usize;
    let spread = |image: &[f32]| {
        let values = image.chunks_exact(params.columns as usize * 4).flat_map(|row| &row[..params.channels as usize]);
        let count = f64::from(params.positions * params.channels);
        let mean = values.clone().map(|x| f64::from(*x)).sum::<f64>() / count;
        // The divisor, count - 1, is the same for both.
        values.map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>()
    };
    let images = outputs.conditioned.chunks_exact(image_elements).zip(combined.chunks_exact(image_elements));
    let ratios: Vec<f32> = images
        .map(|(conditioned, combined)| match spread(combined) {
            0.0 => 1.0,
            guided => (spread(conditioned) / guided).sqrt() as f32,
        })
        .collect();
    invocation.store_floats("ratios", &ratios)
}

pub fn sampler_step(invocation: &mut Invocation) -> Result<()> {
    let params: SamplerStepParams = invocation.parameters()?;
    let program = invocation.floats("program")?;
    let mut state = invocation.floats("state")?;
    let elements = params.vectors as usize * 4;
    for line in program[4..].chunks_exact(16).take(program[0] as usize) {
        let (target, limit, factors) = (line[0] as usize, line[1], &line[4..]);
        for i in 0..elements {
            let terms = factors.iter().enumerate().filter(|(_, factor)| **factor != 0.0);
            let mut sum: f32 = terms.map(|(register, factor)| factor * state[register * elements + i]).sum();
            if limit >= 0.0 {
                sum = sum.clamp(-limit, limit);
            }
            state[target * elements + i] = sum;
        }
    }
    let input: Vec<f32> = state[..elements].iter().map(|x| program[2] * x).collect();
    invocation.store_elements("next_input", &input.repeat(params.copies as usize))?;
    invocation.store_floats("state", &state)
}

pub fn model_input(invocation: &mut Invocation) -> Result<()> {
    let params: ModelInputParams = invocation.parameters()?;
    let program = invocation.floats("program")?;
    let state = invocation.floats("state")?;
    let input: Vec<f32> = state[..params.vectors as usize * 4].iter().map(|x| program[1] * x).collect();
    invocation.store_elements("y", &input.repeat(params.copies as usize))
}
