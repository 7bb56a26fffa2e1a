//! Euler's method down to a lower level, then fresh noise up to the next one ("Euler a").

use super::linear::Linear;
use super::prediction::Prediction;
use super::scaled_schedule::{ScaledSchedule, initial_scale, input_scale};
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::Result;

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    options.require_configured_schedule()?;
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &[Prediction::Noise, Prediction::Velocity])?;
    let schedule = ScaledSchedule::new(config, options, &training)?;
    let sigmas = schedule.with_final(0.0);
    let timesteps = schedule.timesteps;

    let first = options.first_step(config, timesteps.len());
    let mut calls = Vec::new();
    let levels = sigmas.iter().zip(sigmas.iter().skip(1));
    for (&timestep, (&sigma, &next)) in timesteps.iter().zip(levels).skip(first) {
        let (down, up) = ancestral(sigma, next);
        let sample = Linear::from(Register::Sample)
            .plus(down - sigma, prediction.slope_of_scaled(sigma))
            .plus(up, Register::Noise);
        calls.push(Call {
            timestep,
            input_scale: input_scale(sigma),
            draws_noise: true,
            noising: (1.0, sigma),
            denoised: prediction.clean_of_scaled(sigma).denoised(None),
            step: vec![sample.into_register(Register::Sample)],
        });
    }
    let initial_scale = initial_scale(config, &sigmas)?;
    Sampler::new(calls, timesteps, sigmas, initial_scale)
}

/// The level to step down to, and the deviation of the noise that leads back up to `next`.
pub(super) fn ancestral(sigma: f64, next: f64) -> (f64, f64) {
    let (square, next_square) = (sigma * sigma, next * next);
    let up_square = next_square * (square - next_square) / square;
    ((next_square - up_square).max(0.0).sqrt(), up_square.max(0.0).sqrt())
}
