//! DEIS: the predicted noise is continued by a polynomial in the logarithm of the noise level (Zhang & Chen 2022,
//! "log-rho", multistep of order 1 to 3).

use super::dpm_multistep::solver_order;
use super::linear::Linear;
use super::prediction::Prediction;
use super::sigmas::SigmaSpacing;
use super::solver_schedule::{FinalLevel, Level, SolverKind, SolverSchedule};
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::Result;

const KIND: SolverKind = SolverKind {
    spacings: &[SigmaSpacing::Karras, SigmaSpacing::Exponential, SigmaSpacing::Beta, SigmaSpacing::Flow],
    final_level: FinalLevel::Last,
    spaced: true,
    clipped: false,
    cuts_cosine_timesteps: false,
};

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    config.refuse_thresholding()?;
    let prediction = Prediction::of(config, &Prediction::ALL)?;
    let order = solver_order(config)?;
    let training = Training::new(config)?;
    let schedule = SolverSchedule::new(config, options, &training, &KIND)?;

    let steps = schedule.timesteps.len();
    let lower_order_final = config.flag("lower_order_final", true)? && steps < 15;
    let start = options.first_step(config, steps);
    let mut calls = Vec::new();
    for (done, (index, &timestep)) in schedule.timesteps.iter().enumerate().skip(start).enumerate() {
        let most = if lower_order_final { order.min(steps - index) } else { order }.min(done + 1);
        let from = schedule.level(index)?;
        let memory = |age: usize| Register::Memory(((done - age.min(done)) % order) as u8);
        calls.push(Call {
            timestep,
            input_scale: 1.0,
            draws_noise: false,
            noising: (from.alpha, from.sigma),
            denoised: prediction.clean(from.alpha, from.sigma).denoised(None),
            step: vec![
                prediction.noise(from.alpha, from.sigma).into_register(memory(0)),
                update(&schedule.path(index, most), memory).into_register(Register::Sample),
            ],
        });
    }
    Sampler::new(calls, schedule.timesteps, schedule.sigmas, 1.0)
}

/// The next sample. `path` holds the target and one, two or three levels before it, newest first.
fn update(path: &[Level], memory: impl Fn(usize) -> Register) -> Linear {
    let [target, from, ..] = *path else { return Linear::zero() };
    let mut sample = Linear::from(Register::Sample).times(target.alpha / from.alpha);
    // In the logarithm of rho = sigma / alpha, which is −lambda.
    let nodes: Vec<f64> = path.iter().skip(1).map(|level| -level.lambda).collect();
    for own in 0..nodes.len() {
        sample = sample.plus(target.alpha * integral(&nodes, own, -from.lambda, -target.lambda), memory(own));
    }
    sample
}

/// Integral over rho of the Lagrange polynomial in `ln rho` that is 1 at `nodes[own]` and 0 at the others.
fn integral(nodes: &[f64], own: usize, from: f64, to: f64) -> f64 {
    let Some(&own_node) = nodes.get(own) else { return 0.0 };
    let others: Vec<f64> = nodes.iter().enumerate().filter(|&(index, _)| index != own).map(|(_, &node)| node).collect();
    // ∫ eˣ dx = eˣ; ∫ x eˣ dx = (x − 1) eˣ; ∫ x² eˣ dx = (x² − 2x + 2) eˣ.
    let antiderivative = |x: f64| match *others {
        [] => x.exp(),
        [c] => x.exp() * (x - 1.0 - c) / (own_node - c),
        [c, d, ..] => {
            x.exp() * (x * x - 2.0 * x + 2.0 - (c + d) * (x - 1.0) + c * d) / ((own_node - c) * (own_node - d))
        }
    };
    antiderivative(to) - antiderivative(from)
}
