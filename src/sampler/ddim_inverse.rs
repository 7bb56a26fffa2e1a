//! DDIM backwards: from a picture to the noise that leads to it.

use super::linear::Linear;
use super::prediction::Prediction;
use super::spacing::Spacing;
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::Result;

const CLEAN: Register = Register::Memory(0);

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    options.require_configured_schedule()?;
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &Prediction::DIFFUSION)?;
    let clip = config.clip(true)?;
    let initial_alpha = training.final_alpha(config, true)?;
    let mut timesteps = Spacing::new(config, "leading", options.steps)?.descending()?;
    timesteps.reverse();
    timesteps.iter_mut().for_each(|timestep| *timestep = timestep.round_ties_even());
    let stride = (training.steps() / options.steps) as i64;

    let mut calls = Vec::new();
    for &timestep in timesteps.iter().skip(options.first_step(config, timesteps.len())) {
        let target = timestep as i64;
        let source = (target - stride).min(training.steps() as i64 - 1);
        let alpha = f64::from(training.alpha_or(source, initial_alpha)?);
        let (signal, noise) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let (target_signal, target_noise) = training.noising(target)?;
        let clean = prediction.clean(signal, noise);
        let sample = Linear::from(CLEAN).times(target_signal).plus(target_noise, prediction.noise(signal, noise));
        calls.push(Call {
            timestep,
            input_scale: 1.0,
            draws_noise: false,
            noising: (signal, noise),
            denoised: clean.denoised(clip),
            step: vec![clean.clamped_into(CLEAN, clip), sample.into_register(Register::Sample)],
        });
    }
    Sampler::new(calls, timesteps, Vec::new(), 1.0)
}
