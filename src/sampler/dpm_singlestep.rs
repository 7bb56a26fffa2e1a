//! DPM-Solver and DPM-Solver++, singlestep ("DPM++ 2S"): every second or third call ends a step that began one or two
//! calls before, at a sample that is kept.

use super::dpm_multistep::solver_order;
use super::dpm_weights::{Algorithm, Weights, is_heun};
use super::linear::Linear;
use super::prediction::Prediction;
use super::sigmas::SigmaSpacing;
use super::solver_schedule::{FinalLevel, Level, SolverKind, SolverSchedule};
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

const START: Register = Register::Memory(3);

const KIND: SolverKind = SolverKind {
    spacings: &[SigmaSpacing::Karras, SigmaSpacing::Exponential, SigmaSpacing::Beta, SigmaSpacing::Flow],
    final_level: FinalLevel::ZeroOrTraining,
    spaced: false,
    clipped: true,
    cuts_cosine_timesteps: false,
};

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    config.refuse_thresholding()?;
    let algorithm = Algorithm::of(config)?;
    if algorithm == Algorithm::StochasticNoise {
        return Err(Error::new(ErrorKind::Unsupported, "the singlestep solver has no sde-dpmsolver"));
    }
    let prediction = Prediction::of(config, algorithm.usable())?;
    let heun = is_heun(config)?;
    let training = Training::new(config)?;
    let schedule = SolverSchedule::new(config, options, &training, &KIND)?;
    let orders = orders(config, schedule.timesteps.len())?;

    let start = options.first_step(config, orders.len());
    let mut calls = Vec::new();
    let steps = orders.iter().zip(&schedule.timesteps).enumerate().skip(start);
    for (done, (index, (&planned, &timestep))) in steps.enumerate() {
        let order = planned.min(done + 1);
        let from = schedule.level(index)?;
        let memory = |age: usize| Linear::from(Register::Memory(((done - age.min(done)) % 3) as u8));

        let clean = prediction.clean(from.alpha, from.sigma);
        let kept = if algorithm.predicts_clean() { clean.clone() } else { prediction.noise(from.alpha, from.sigma) };
        let mut step = vec![kept.into_register(Register::Memory((done % 3) as u8))];
        if order == 1 {
            step.push(Linear::from(Register::Sample).into_register(START));
        }
        step.push(update(algorithm, heun, &schedule.path(index, order), memory).into_register(Register::Sample));
        calls.push(Call {
            timestep,
            input_scale: 1.0,
            draws_noise: algorithm.draws_noise(),
            noising: (from.alpha, from.sigma),
            denoised: clean.denoised(None),
            step,
        });
    }
    Sampler::new(calls, schedule.timesteps, schedule.sigmas, 1.0)
}

/// The order of each call: 1, 2, 3, 1, 2, 3…; the last call's is 1 where it ends at zero or lower orders are asked for.
fn orders(config: &SchedulerConfig, steps: usize) -> Result<Vec<usize>> {
    let order = solver_order(config)?;
    let ends_at_zero = config.text("final_sigmas_type", "zero")? == "zero";
    let fills_up = steps.is_multiple_of(order);
    let mut orders: Vec<usize> = (0..steps).map(|index| index % order + 1).collect();
    if let Some(last) = orders.last_mut()
        && (ends_at_zero || (fills_up && config.flag("lower_order_final", false)?))
    {
        *last = 1;
    }
    Ok(orders)
}

/// The next sample, from START. `path` holds the target and the levels since the step began, newest first.
fn update(algorithm: Algorithm, heun: bool, path: &[Level], memory: impl Fn(usize) -> Linear) -> Linear {
    let [target, .., begun] = *path else { return Linear::zero() };
    let weights = Weights::new(algorithm, begun, target);
    let oldest = path.len() - 2;
    let base = Linear::from(START)
        .times(weights.sample)
        .plus(weights.prediction, memory(oldest))
        .plus(weights.noise, Register::Noise);
    let step = target.lambda - begun.lambda;
    let reach = |level: Level| (level.lambda - begun.lambda) / step;
    let slope = |age: usize, reach: f64| memory(age).plus(-1.0, memory(oldest)).times(1.0 / reach);
    match *path {
        [_, newer, _] => base.plus(if heun { weights.first } else { weights.midpoint }, slope(0, reach(newer))),
        [_, newer, middle, _] => {
            let (far, near) = (reach(newer), reach(middle));
            let (far_slope, near_slope) = (slope(0, far), slope(1, near));
            if !heun {
                return base.plus(weights.first, far_slope);
            }
            let first = near_slope.clone().times(far).plus(-near, far_slope.clone()).times(1.0 / (far - near));
            let second = far_slope.plus(-1.0, near_slope).times(2.0 / (far - near));
            base.plus(weights.first, first).plus(weights.second, second)
        }
        _ => base,
    }
}
