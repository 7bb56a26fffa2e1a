//! DPM-Solver-2 as Karras et al. 2022, algorithm 2, has it: an Euler step to the geometric mean of two levels, whose
//! slope then serves the whole step ("DPM2"). Two calls per step, but one for the last.

use super::linear::Linear;
use super::prediction::Prediction;
use super::scaled_schedule::{ScaledSchedule, initial_scale, input_scale};
use super::sigmas::rounded;
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::Result;

const START: Register = Register::Memory(0);

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    steps(config, options, |sigma, next| Step { middle: (sigma * next).sqrt(), target: next, noise: None })
}

/// What the two calls of a step aim at.
pub(super) struct Step {
    /// The level of the second call; 0 where there is none.
    pub middle: f64,
    /// The level that the whole step reaches.
    pub target: f64,
    /// Deviation of the noise that follows, if the class draws any.
    pub noise: Option<f64>,
}

/// The run of both classes, which differ in `plan(level, next level)`.
pub(super) fn steps(config: &SchedulerConfig, options: &Options, plan: impl Fn(f64, f64) -> Step) -> Result<Sampler> {
    options.require_configured_schedule()?;
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &[Prediction::Noise, Prediction::Velocity])?;
    let schedule = ScaledSchedule::new(config, options, &training)?.respaced(config, true)?;
    let sigmas = schedule.with_final(0.0);
    let count = schedule.timesteps.len();

    let (mut calls, mut timesteps) = (Vec::new(), Vec::new());
    let start = options.first_step(config, count);
    let pairs = sigmas.iter().zip(sigmas.iter().skip(1)).zip(&schedule.timesteps);
    for (index, ((&sigma, &next), &timestep)) in pairs.enumerate() {
        let Step { middle, target, noise } = plan(sigma, next);
        let call = |timestep: f64, level: f64, noise: Option<f64>, step| Call {
            timestep,
            input_scale: input_scale(level),
            draws_noise: noise.is_some(),
            noising: (1.0, level),
            denoised: prediction.clean_of_scaled(level).denoised(None),
            step,
        };
        let middle_timestep = rounded(schedule.levels.timestep(middle));
        timesteps.push(timestep);
        if index + 1 < count {
            timesteps.push(middle_timestep);
        }
        if index < start {
            continue;
        }
        let euler = Linear::from(Register::Sample).plus(middle - sigma, prediction.slope_of_scaled(sigma));
        calls.push(call(
            timestep,
            sigma,
            None,
            vec![Linear::from(Register::Sample).into_register(START), euler.into_register(Register::Sample)],
        ));
        if index + 1 < count {
            let sample = Linear::from(START)
                .plus(target - sigma, prediction.slope_of_scaled(middle))
                .plus(noise.unwrap_or(0.0), Register::Noise);
            calls.push(call(middle_timestep, middle, noise, vec![sample.into_register(Register::Sample)]));
        }
    }
    let initial_scale = initial_scale(config, &sigmas)?;
    let (first, inner) = sigmas.split_at(sigmas.len().min(1));
    let twice = inner.iter().flat_map(|sigma| [*sigma; 2]);
    let listed = first.iter().copied().chain(twice).chain(sigmas.last().copied()).collect();
    Sampler::new(calls, timesteps, listed, initial_scale)
}
