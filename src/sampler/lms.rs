//! Linear multistep: the slope is continued by the polynomial through the last ones (Adams–Bashforth on an uneven grid).

use super::linear::Linear;
use super::prediction::Prediction;
use super::scaled_schedule::{ScaledSchedule, initial_scale, input_scale};
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::Result;

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    options.require_configured_schedule()?;
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &Prediction::DIFFUSION)?;
    let schedule = ScaledSchedule::new(config, options, &training)?.respaced(config, false)?;
    let sigmas = schedule.with_final(0.0);
    let timesteps = schedule.timesteps;

    let start = options.first_step(config, timesteps.len());
    let mut calls = Vec::new();
    let pairs = sigmas.iter().zip(sigmas.iter().skip(1)).zip(&timesteps);
    for (done, (index, ((&sigma, &next), &timestep))) in pairs.enumerate().skip(start).enumerate() {
        let memory = |age: usize| Register::Memory(((done - age) % options.order) as u8);
        // The levels that the polynomial passes through, newest first. Where img2img starts late, the reference counts
        // levels before the start too, whose slopes are missing and count as zero.
        let order = options.order.min(index + 1);
        let nodes: Vec<f64> = sigmas.iter().take(index + 1).rev().take(order).copied().collect();
        let mut sample = Linear::from(Register::Sample);
        for age in 0..order.min(done + 1) {
            sample = sample.plus(integral(&nodes, age, sigma, next), memory(age));
        }
        calls.push(Call {
            timestep,
            input_scale: input_scale(sigma),
            draws_noise: false,
            noising: (1.0, sigma),
            denoised: prediction.clean_of_scaled(sigma).denoised(None),
            step: vec![
                prediction.slope_of_scaled(sigma).into_register(memory(0)),
                sample.into_register(Register::Sample),
            ],
        });
    }
    let initial_scale = initial_scale(config, &sigmas)?;
    Sampler::new(calls, timesteps, sigmas, initial_scale)
}

/// Integral of the Lagrange polynomial that is 1 at `nodes[own]` and 0 at the others, by Gauss–Legendre with four
/// points, exact to degree 7.
fn integral(nodes: &[f64], own: usize, from: f64, to: f64) -> f64 {
    const POINTS: [(f64, f64); 4] = [
        (-0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
        (-0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
        (0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
        (0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
    ];
    let half = 0.5 * (to - from);
    let Some(&own_node) = nodes.get(own) else { return 0.0 };
    let value = |at: f64| -> f64 {
        let others = nodes.iter().enumerate().filter(|&(index, _)| index != own);
        others.map(|(_, node)| (at - node) / (own_node - node)).product()
    };
    POINTS.iter().map(|(point, weight)| half * weight * value(from + half * (point + 1.0))).sum()
}
