//! DPM-Solver and DPM-Solver++, multistep, of order 1 to 3, and their stochastic forms ("DPM++ 2M", "DPM++ 2M SDE").

use super::dpm_weights::{Algorithm, Weights, is_heun};
use super::linear::Linear;
use super::prediction::Prediction;
use super::sigmas::SigmaSpacing;
use super::solver_schedule::{FinalLevel, Level, SolverKind, SolverSchedule};
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

const KIND: SolverKind = SolverKind {
    spacings: &[
        SigmaSpacing::Karras,
        SigmaSpacing::Lu,
        SigmaSpacing::Exponential,
        SigmaSpacing::Beta,
        SigmaSpacing::Flow,
    ],
    final_level: FinalLevel::ZeroOrTraining,
    spaced: true,
    clipped: true,
    cuts_cosine_timesteps: true,
};

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    config.refuse_thresholding()?;
    let algorithm = Algorithm::of(config)?;
    let prediction = Prediction::of(config, algorithm.usable())?;
    let heun = is_heun(config)?;
    let order = solver_order(config)?;
    if algorithm == Algorithm::StochasticNoise && order == 3 {
        return Err(Error::new(ErrorKind::Unsupported, "sde-dpmsolver has no third order; set solver_order to 2"));
    }
    let training = Training::new(config)?;
    let schedule = SolverSchedule::new(config, options, &training, &KIND)?;

    let steps = schedule.timesteps.len();
    let lower_order_final = config.flag("lower_order_final", true)? && steps < 15;
    let euler_at_final = lower_order_final
        || config.flag("euler_at_final", false)?
        || config.text("final_sigmas_type", "zero")? == "zero";
    let start = options.first_step(config, steps);
    let mut calls = Vec::new();
    for (done, (index, &timestep)) in schedule.timesteps.iter().enumerate().skip(start).enumerate() {
        let most = match steps - index {
            1 if euler_at_final => 1,
            2 if lower_order_final => order.min(2),
            _ => order,
        };
        let path = schedule.path(index, most.min(done + 1));
        let from = schedule.level(index)?;
        let memory = |age: usize| Linear::from(Register::Memory(((done - age.min(done)) % order) as u8));

        let kept = if algorithm.predicts_clean() {
            prediction.clean(from.alpha, from.sigma)
        } else {
            prediction.noise(from.alpha, from.sigma)
        };
        let clean = prediction.clean(from.alpha, from.sigma);
        calls.push(Call {
            timestep,
            input_scale: 1.0,
            draws_noise: algorithm.draws_noise(),
            noising: (from.alpha, from.sigma),
            denoised: clean.denoised(None),
            step: vec![
                kept.into_register(Register::Memory((done % order) as u8)),
                update(algorithm, heun, &path, memory).into_register(Register::Sample),
            ],
        });
    }
    Sampler::new(calls, schedule.timesteps, schedule.sigmas, 1.0)
}

pub(super) fn solver_order(config: &SchedulerConfig) -> Result<usize> {
    let order = config.count("solver_order", 2)?;
    if (1..=3).contains(&order) {
        return Ok(order);
    }
    Err(Error::new(ErrorKind::Unsupported, format!("solver_order must be 1, 2 or 3, not {order}")))
}

/// The next sample. `path` holds the target and one, two or three levels before it, newest first; `memory(age)` is the
/// prediction made that many steps ago.
fn update(algorithm: Algorithm, heun: bool, path: &[Level], memory: impl Fn(usize) -> Linear) -> Linear {
    let difference = |newer: usize, scale: f64| memory(newer).plus(-1.0, memory(newer + 1)).times(scale);
    let [target, from, ..] = *path else { return Linear::zero() };
    let weights = Weights::new(algorithm, from, target);
    let base = Linear::from(Register::Sample)
        .times(weights.sample)
        .plus(weights.prediction, memory(0))
        .plus(weights.noise, Register::Noise);
    let step = target.lambda - from.lambda;
    match *path {
        [_, _, before] => {
            let first = difference(0, step / (from.lambda - before.lambda));
            base.plus(if heun { weights.first } else { weights.midpoint }, first)
        }
        [_, _, before, earliest] => {
            let near = (from.lambda - before.lambda) / step;
            let far = (before.lambda - earliest.lambda) / step;
            let (newer, older) = (difference(0, 1.0 / near), difference(1, 1.0 / far));
            let bend = newer.clone().plus(-1.0, older);
            let first = newer.plus(near / (near + far), bend.clone());
            base.plus(weights.first, first).plus(weights.second, bend.times(1.0 / (near + far)))
        }
        _ => base,
    }
}
