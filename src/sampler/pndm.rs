//! PNDM: DDIM steps along a noise estimate made by linear multistep ("PLMS"), started either by an Euler–Heun step or by
//! Runge–Kutta ("PRK") (Liu et al. 2022).

use super::linear::Linear;
use super::prediction::Prediction;
use super::spacing::Spacing;
use super::training::Training;
use super::{Call, Combination, Options, Register, Sampler, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

/// The sample at the start of a step that has several calls.
const START: Register = Register::Memory(4);
/// Weighted sum of the outputs of a Runge–Kutta step.
const SUM: Register = Register::Memory(5);

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    options.require_configured_schedule()?;
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &[Prediction::Noise, Prediction::Velocity])?;
    let final_alpha = training.final_alpha(config, false)?;
    let timesteps = Spacing::new(config, "leading", options.steps)?.descending()?;
    let timesteps: Vec<i64> = timesteps.into_iter().map(|timestep| timestep.round_ties_even() as i64).collect();
    let stride = (training.steps() / options.steps) as i64;
    let mut run = Run { training, prediction, final_alpha, stride, outputs: Vec::new(), drawn: 0 };

    let (runge_kutta, timesteps) = if config.flag("skip_prk_steps", false)? {
        (Vec::new(), twice_second(&timesteps))
    } else {
        if timesteps.len() < 4 {
            let sentence = "PNDM with Runge-Kutta steps needs 4 steps or more; or set skip_prk_steps";
            return Err(Error::new(ErrorKind::InvalidSetting, sentence));
        }
        let opening = runge_kutta_timesteps(&timesteps, stride);
        let all = opening.iter().chain(timesteps.iter().skip(3)).copied().collect();
        (opening, all)
    };
    let start = options.first_step(config, options.steps);
    let mut calls = Vec::new();
    for (counter, &timestep) in timesteps.iter().skip(start).enumerate() {
        let step = if counter < runge_kutta.len() {
            let base = runge_kutta.get(counter / 4 * 4).copied().unwrap_or(timestep);
            run.runge_kutta(counter, base, timestep)?
        } else {
            run.multistep(counter, timestep)?
        };
        let alpha = f64::from(run.training.alpha(timestep)?);
        calls.push(Call {
            timestep: timestep as f64,
            input_scale: 1.0,
            draws_noise: false,
            noising: run.training.noising(timestep)?,
            denoised: prediction.clean(alpha.sqrt(), (1.0 - alpha).sqrt()).denoised(None),
            step,
        });
    }
    Sampler::new(calls, timesteps.into_iter().map(|timestep| timestep as f64).collect(), Vec::new(), 1.0)
}

/// Multistep begins with two calls for its first step, the second at the second timestep.
fn twice_second(timesteps: &[i64]) -> Vec<i64> {
    let second = timesteps.iter().skip(1).take(1);
    timesteps.iter().take(2).chain(second).chain(timesteps.iter().skip(2)).copied().collect()
}

/// Three steps of four calls: at a timestep, twice half a stride on, and at the next timestep.
fn runge_kutta_timesteps(timesteps: &[i64], stride: i64) -> Vec<i64> {
    let pairs = timesteps.iter().zip(timesteps.iter().skip(1)).take(3);
    pairs.flat_map(|(&from, &to)| [from, to + stride / 2, to + stride / 2, to]).collect()
}

struct Run {
    training: Training,
    prediction: Prediction,
    final_alpha: f32,
    stride: i64,
    /// Where the last outputs lie, oldest first.
    outputs: Vec<Register>,
    drawn: u8,
}

impl Run {
    /// Keeps this call's output with the last three.
    fn remember(&mut self) -> Combination {
        let register = Register::Memory(self.drawn % 4);
        self.drawn = (self.drawn + 1) % 4;
        self.outputs.push(register);
        if self.outputs.len() > 4 {
            self.outputs.remove(0);
        }
        Linear::from(Register::ModelOutput).into_register(register)
    }

    fn runge_kutta(&mut self, counter: usize, base: i64, timestep: i64) -> Result<Vec<Combination>> {
        let target = if counter % 2 == 1 { timestep } else { timestep - self.stride / 2 };
        let mut step = Vec::new();
        let output = Linear::from(Register::ModelOutput);
        let estimate = match counter % 4 {
            0 => {
                step.push(self.remember());
                step.push(Linear::from(Register::Sample).into_register(START));
                step.push(output.clone().times(1.0 / 6.0).into_register(SUM));
                output
            }
            3 => output.times(1.0 / 6.0).plus(1.0, SUM),
            _ => {
                step.push(output.clone().times(1.0 / 3.0).plus(1.0, SUM).into_register(SUM));
                output
            }
        };
        step.push(self.transfer(START, base, target, estimate)?);
        Ok(step)
    }

    fn multistep(&mut self, counter: usize, timestep: i64) -> Result<Vec<Combination>> {
        let (mut from, mut to) = (timestep, timestep - self.stride);
        let mut step = Vec::new();
        let mut start = Register::Sample;
        if counter == 1 {
            (from, to) = (timestep + self.stride, timestep);
            start = START;
        } else {
            step.push(self.remember());
        }
        let weights: &[f64] = match (self.outputs.len(), counter) {
            (1, 1) => &[0.5],
            (1, _) => &[1.0],
            (2, _) => &[3.0 / 2.0, -1.0 / 2.0],
            (3, _) => &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
            _ => &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
        };
        let mut estimate = Linear::zero();
        for (&register, &weight) in self.outputs.iter().rev().zip(weights) {
            estimate = estimate.plus(weight, register);
        }
        match counter {
            0 => step.push(Linear::from(Register::Sample).into_register(START)),
            1 => estimate = estimate.plus(0.5, Register::ModelOutput),
            _ => {}
        }
        step.push(self.transfer(start, from, to, estimate)?);
        Ok(step)
    }

    /// A DDIM step in the form of the paper's equation 11.
    fn transfer(&self, start: Register, from: i64, to: i64, estimate: Linear) -> Result<Combination> {
        let (from, to) = (self.training.alpha(from)?, self.training.alpha_or(to, self.final_alpha)?);
        // In f32, as the reference: it cancels.
        let difference = f64::from(to - from);
        let (from, to) = (f64::from(from), f64::from(to));
        let estimate = match self.prediction {
            Prediction::Velocity => estimate.times(from.sqrt()).plus((1.0 - from).sqrt(), start),
            _ => estimate,
        };
        let divisor = from * (1.0 - to).sqrt() + (from * (1.0 - from) * to).sqrt();
        let sample = Linear::from(start).times((to / from).sqrt()).plus(-difference / divisor, estimate);
        Ok(sample.into_register(Register::Sample))
    }
}
