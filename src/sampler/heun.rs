//! Heun's method: an Euler step, a second evaluation at its end, and the mean of both slopes (Karras et al. 2022,
//! algorithm 1). Two calls per step, but one for the last.

use super::linear::Linear;
use super::prediction::{Prediction, slope_towards};
use super::scaled_schedule::{ScaledSchedule, initial_scale, input_scale};
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::Result;

const SLOPE: Register = Register::Memory(0);
const START: Register = Register::Memory(1);

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &Prediction::DIFFUSION)?;
    let clip = config.clip(false)?;
    let schedule = ScaledSchedule::new(config, options, &training)?.respaced(config, false)?;
    let levels = schedule.with_final(0.0);
    let steps = schedule.timesteps.len();

    let mut calls = Vec::new();
    let start = options.first_step(config, steps);
    let pairs = levels.iter().zip(levels.iter().skip(1));
    for (index, (&sigma, &next)) in pairs.enumerate().skip(start) {
        let evaluation = |timestep: f64, sigma: f64| {
            let clean = prediction.clean_of_scaled(sigma);
            let mut call = Call {
                timestep,
                input_scale: input_scale(sigma),
                draws_noise: false,
                noising: (1.0, sigma),
                denoised: clean.denoised(clip),
                step: Vec::new(),
            };
            if clip.is_none() {
                return (call, prediction.slope_of_scaled(sigma));
            }
            call.step.push(clean.clamped_into(Register::ModelOutput, clip));
            (call, slope_towards(Register::ModelOutput, sigma))
        };
        let timestep = |index: usize| schedule.timesteps.get(index).copied().unwrap_or_default();

        let (mut first, slope) = evaluation(timestep(index), sigma);
        let euler = Linear::from(Register::Sample).plus(next - sigma, SLOPE);
        first.step.extend([
            slope.into_register(SLOPE),
            Linear::from(Register::Sample).into_register(START),
            euler.into_register(Register::Sample),
        ]);
        calls.push(first);
        if index + 1 < steps {
            let (mut second, slope) = evaluation(timestep(index + 1), next);
            let half = 0.5 * (next - sigma);
            let sample = Linear::from(START).plus(half, SLOPE).plus(half, slope);
            second.step.push(sample.into_register(Register::Sample));
            calls.push(second);
        }
    }
    let initial_scale = initial_scale(config, &levels)?;
    Sampler::new(calls, twice_but_first(&schedule.timesteps), twice_inside(&levels), initial_scale)
}

/// Every value twice but the first.
pub(super) fn twice_but_first(values: &[f64]) -> Vec<f64> {
    values.iter().take(1).chain(values.iter().skip(1).flat_map(|value| [value; 2])).copied().collect()
}

/// Every value twice but the first and the last.
pub(super) fn twice_inside(values: &[f64]) -> Vec<f64> {
    let mut twice = twice_but_first(values);
    if values.len() > 1 {
        twice.pop();
    }
    twice
}
