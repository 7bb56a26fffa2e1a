//! Euler's method along the straight paths of flow matching (SD3, FLUX).

use super::linear::Linear;
use super::options::Schedule;
use super::prediction::Prediction;
use super::scaled_schedule::descending;
use super::sigmas::{SigmaSpacing, rounded, shifted};
use super::spacing::linspace;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    let (timesteps, sigmas) = schedule(config, options)?;
    let stochastic = config.flag("stochastic_sampling", false)?;

    let mut calls = Vec::new();
    let levels = sigmas.iter().zip(sigmas.iter().skip(1)).zip(&timesteps);
    for ((&sigma, &next), &timestep) in levels.skip(options.first_step(config, timesteps.len())) {
        let clean = Prediction::Flow.clean(1.0 - sigma, sigma);
        let sample = if stochastic {
            clean.clone().times(1.0 - next).plus(next, Register::Noise)
        } else {
            Linear::from(Register::Sample).plus(next - sigma, Register::ModelOutput)
        };
        calls.push(Call {
            timestep,
            input_scale: 1.0,
            draws_noise: stochastic,
            noising: (1.0 - sigma, sigma),
            denoised: clean.denoised(None),
            step: vec![sample.into_register(Register::Sample)],
        });
    }
    Sampler::new(calls, timesteps, sigmas, 1.0)
}

/// Timesteps, and shares of noise with the final one.
fn schedule(config: &SchedulerConfig, options: &Options) -> Result<(Vec<f64>, Vec<f64>)> {
    let training_steps = config.training_steps()? as f64;
    let dynamic = config.flag("use_dynamic_shifting", false)?;
    let shift = shift(config)?;
    let given_timesteps = match &options.schedule {
        Schedule::Timesteps(timesteps) => Some(descending(timesteps, training_steps)?),
        _ => None,
    };
    let plain: Vec<f64> = match (&options.schedule, &given_timesteps) {
        (Schedule::Sigmas(sigmas), _) => descending(sigmas, 1.0)?.into_iter().map(rounded).collect(),
        (_, Some(timesteps)) => timesteps.iter().map(|timestep| rounded(*timestep) / training_steps).collect(),
        _ => evenly(config, if dynamic { 1.0 } else { shift }, options.steps)?,
    };
    let mut sigmas: Vec<f64> = match (dynamic, options.mu) {
        (false, _) => plain.into_iter().map(|sigma| shifted(sigma, shift)).collect(),
        (true, Some(mu)) => {
            let shift = match config.text("time_shift_type", "exponential")? {
                "exponential" => mu.exp(),
                "linear" => mu,
                other => {
                    let sentence = format!("the time_shift_type \"{other}\" is not known");
                    return Err(Error::new(ErrorKind::Unsupported, sentence));
                }
            };
            plain.into_iter().map(|sigma| shift / (shift + (1.0 / sigma - 1.0))).collect()
        }
        (true, None) => {
            let sentence = "this schedule shifts with the picture's size (use_dynamic_shifting); give mu";
            return Err(Error::new(ErrorKind::InvalidSetting, sentence));
        }
    };
    stretch_to_terminal(config, &mut sigmas)?;
    let spacing = SigmaSpacing::of(config, &[SigmaSpacing::Karras, SigmaSpacing::Exponential, SigmaSpacing::Beta])?;
    if let (true, Some(&highest), Some(&lowest)) = (spacing != SigmaSpacing::Timesteps, sigmas.first(), sigmas.last()) {
        sigmas = spacing.configured(config, highest, lowest, sigmas.len())?;
    }
    let mut sigmas: Vec<f64> = sigmas.into_iter().map(rounded).collect();
    let times = |sigmas: &[f64]| sigmas.iter().map(|sigma| rounded(sigma * training_steps)).collect();
    let mut timesteps = given_timesteps.unwrap_or_else(|| times(&sigmas));
    if config.flag("invert_sigmas", false)? {
        sigmas.iter_mut().for_each(|sigma| *sigma = rounded(1.0 - *sigma));
        timesteps = times(&sigmas);
        sigmas.push(1.0);
    } else {
        sigmas.push(0.0);
    }
    Ok((timesteps, sigmas))
}

pub(super) fn shift(config: &SchedulerConfig) -> Result<f64> {
    let shift = config.number("shift", 1.0)?;
    if shift > 0.0 && shift.is_finite() {
        return Ok(shift);
    }
    Err(Error::new(ErrorKind::InvalidSetting, format!("the shift must be over 0, not {shift}")))
}

/// Evenly spaced from 1 to the lowest level of training. The reference shifts that lowest level when it sets up and
/// then all of them once more.
pub(super) fn evenly(config: &SchedulerConfig, shift: f64, steps: usize) -> Result<Vec<f64>> {
    let training_steps = config.training_steps()?;
    if steps > training_steps {
        let sentence = format!("the number of steps must be between 1 and {training_steps}, not {steps}");
        return Err(Error::new(ErrorKind::InvalidSetting, sentence));
    }
    let training_steps = training_steps as f64;
    let lowest = rounded(shifted(rounded(1.0 / training_steps), shift));
    let timesteps = linspace(training_steps, lowest * training_steps, steps);
    Ok(timesteps.into_iter().map(|timestep| timestep / training_steps).collect())
}

/// Stretches the schedule so that its last level is `shift_terminal`, if that is given.
fn stretch_to_terminal(config: &SchedulerConfig, sigmas: &mut [f64]) -> Result<()> {
    let terminal = config.number("shift_terminal", 0.0)?;
    if let (true, Some(&last)) = (terminal != 0.0, sigmas.last()) {
        let scale = (1.0 - last) / (1.0 - terminal);
        sigmas.iter_mut().for_each(|sigma| *sigma = 1.0 - (1.0 - *sigma) / scale);
    }
    Ok(())
}
