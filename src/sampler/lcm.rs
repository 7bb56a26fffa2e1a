//! Latent consistency models: predict the clean latent, noise it again to the next timestep (Luo et al. 2023).

use super::linear::Linear;
use super::prediction::Prediction;
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

/// Standard deviation of the data, from the paper's boundary condition.
const SIGMA_DATA: f64 = 0.5;

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    options.require_configured_schedule()?;
    config.refuse_thresholding()?;
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &Prediction::DIFFUSION)?;
    let clip = config.clip(false)?;
    let scaling = config.number("timestep_scaling", 10.0)?;
    let timesteps = distilled_timesteps(config, options.steps, training.steps())?;

    let steps = timesteps.len();
    let mut calls = Vec::new();
    for (index, &timestep) in timesteps.iter().enumerate().skip(options.first_step(config, steps)) {
        let alpha = f64::from(training.alpha(timestep)?);
        let clean = prediction.clean(alpha.sqrt(), (1.0 - alpha).sqrt());
        let scaled = timestep as f64 * scaling;
        let square = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
        let denoised = Linear::from(Register::Sample)
            .times(SIGMA_DATA * SIGMA_DATA / square)
            .plus(scaled / square.sqrt(), Register::ModelOutput);
        let last = index + 1 == steps;
        let sample = match timesteps.get(index + 1) {
            Some(&next) => {
                let (signal, noise) = training.noising(next)?;
                denoised.times(signal).plus(noise, Register::Noise)
            }
            None => denoised,
        };
        calls.push(Call {
            timestep: timestep as f64,
            input_scale: 1.0,
            draws_noise: !last,
            noising: training.noising(timestep)?,
            denoised: clean.denoised(clip),
            step: vec![clean.clamped_into(Register::ModelOutput, clip), sample.into_register(Register::Sample)],
        });
    }
    Sampler::new(calls, timesteps.into_iter().map(|timestep| timestep as f64).collect(), Vec::new(), 1.0)
}

/// Evenly picked from the timesteps that the model was distilled at, descending.
pub(super) fn distilled_timesteps(config: &SchedulerConfig, steps: usize, training_steps: usize) -> Result<Vec<i64>> {
    let original = config.count("original_inference_steps", 50)?;
    if !(1..=training_steps).contains(&original) || steps > original {
        let sentence = format!("this sampler runs at most {original} steps (original_inference_steps), not {steps}");
        return Err(Error::new(ErrorKind::InvalidSetting, sentence));
    }
    let stride = training_steps / original;
    let picked = (0..steps).map(|index| (index as f64 * (original as f64 / steps as f64)).floor() as usize);
    Ok(picked.map(|skipped| ((original - skipped.min(original - 1)) * stride) as i64 - 1).collect())
}
