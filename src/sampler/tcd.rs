//! Trajectory consistency: predict the latent at an earlier timestep, noise it up to the next one (Zheng et al. 2024).

use super::lcm::distilled_timesteps;
use super::prediction::Prediction;
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::Result;

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    options.require_configured_schedule()?;
    config.refuse_thresholding()?;
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &Prediction::DIFFUSION)?;
    let timesteps = distilled_timesteps(config, options.steps, training.steps())?;
    let eta = options.eta.unwrap_or(0.3);

    let steps = timesteps.len();
    let mut calls = Vec::new();
    for (index, &timestep) in timesteps.iter().enumerate().skip(options.first_step(config, steps)) {
        let alpha = f64::from(training.alpha(timestep)?);
        let (signal, noise) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let next = timesteps.get(index + 1).copied();
        // In f32, as the reference: a whole product must not fall below itself.
        let aim = ((1.0 - eta) as f32 * next.unwrap_or(0) as f32).floor() as i64;
        let (aim_signal, aim_noise) = training.noising(aim)?;
        let aimed = prediction.clean(signal, noise).times(aim_signal).plus(aim_noise, prediction.noise(signal, noise));
        let draws_noise = eta > 0.0 && next.is_some();
        let sample = match next {
            Some(next) if draws_noise => {
                let share = f64::from(training.alpha(next)? / training.alpha(aim)?);
                aimed.times(share.sqrt()).plus((1.0 - share).sqrt(), Register::Noise)
            }
            _ => aimed,
        };
        calls.push(Call {
            timestep: timestep as f64,
            input_scale: 1.0,
            draws_noise,
            noising: training.noising(timestep)?,
            denoised: prediction.clean(signal, noise).denoised(None),
            step: vec![sample.into_register(Register::Sample)],
        });
    }
    Sampler::new(calls, timesteps.into_iter().map(|timestep| timestep as f64).collect(), Vec::new(), 1.0)
}
