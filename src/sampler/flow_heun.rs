//! Heun's method along the straight paths of flow matching.

use super::flow_euler::{evenly, shift};
use super::heun::{twice_but_first, twice_inside};
use super::linear::Linear;
use super::prediction::Prediction;
use super::sigmas::{rounded, shifted};
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::Result;

const SLOPE: Register = Register::Memory(0);
const START: Register = Register::Memory(1);

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    options.require_configured_schedule()?;
    let training_steps = config.training_steps()? as f64;
    let shift = shift(config)?;
    let even = evenly(config, shift, options.steps)?;
    let mut levels: Vec<f64> = even.into_iter().map(|sigma| rounded(shifted(sigma, shift))).collect();
    let timesteps: Vec<f64> = levels.iter().map(|sigma| rounded(sigma * training_steps)).collect();
    levels.push(0.0);
    let steps = timesteps.len();

    let call = |timestep: f64, sigma: f64, step| Call {
        timestep,
        input_scale: 1.0,
        draws_noise: false,
        noising: (1.0 - sigma, sigma),
        denoised: Prediction::Flow.clean(1.0 - sigma, sigma).denoised(None),
        step,
    };
    let mut calls = Vec::new();
    let pairs = levels.iter().zip(levels.iter().skip(1)).zip(&timesteps);
    for (index, ((&sigma, &next), &timestep)) in pairs.enumerate().skip(options.first_step(config, steps)) {
        let euler = Linear::from(Register::Sample).plus(next - sigma, Register::ModelOutput);
        calls.push(call(
            timestep,
            sigma,
            vec![
                Linear::from(Register::ModelOutput).into_register(SLOPE),
                Linear::from(Register::Sample).into_register(START),
                euler.into_register(Register::Sample),
            ],
        ));
        if let Some(&timestep) = timesteps.get(index + 1) {
            let half = 0.5 * (next - sigma);
            let sample = Linear::from(START).plus(half, SLOPE).plus(half, Register::ModelOutput);
            calls.push(call(timestep, next, vec![sample.into_register(Register::Sample)]));
        }
    }
    Sampler::new(calls, twice_but_first(&timesteps), twice_inside(&levels), 1.0)
}
