//! DDIM: a deterministic step along the predicted noise, or with `eta` between that and DDPM (Song et al. 2020,
//! equation 12).

use super::linear::Linear;
use super::prediction::{Prediction, noise_beside};
use super::spacing::Spacing;
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::Result;

const CLEAN: Register = Register::Memory(0);

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    options.require_configured_schedule()?;
    config.refuse_thresholding()?;
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &Prediction::DIFFUSION)?;
    let clip = config.clip(true)?;
    let final_alpha = training.final_alpha(config, true)?;
    let eta = options.eta.unwrap_or(0.0);
    let timesteps = Spacing::new(config, "leading", options.steps)?.descending()?;
    let timesteps: Vec<f64> = timesteps.into_iter().map(f64::round_ties_even).collect();
    let stride = (training.steps() / options.steps) as i64;

    let mut calls = Vec::new();
    for &timestep in timesteps.iter().skip(options.first_step(config, timesteps.len())) {
        let whole = timestep as i64;
        let alpha = training.alpha(whole)?;
        let previous = training.alpha_or(whole - stride, final_alpha)?;
        // In f32, as the reference: it cancels.
        let step_beta = f64::from(1.0 - alpha / previous);
        let (alpha, previous) = (f64::from(alpha), f64::from(previous));
        let beta = 1.0 - alpha;
        let deviation = eta * ((1.0 - previous) / beta * step_beta).sqrt();

        let clean = prediction.clean(alpha.sqrt(), beta.sqrt());
        let noise = if options.clipped_noise {
            noise_beside(alpha.sqrt(), beta.sqrt(), CLEAN)
        } else {
            prediction.noise(alpha.sqrt(), beta.sqrt())
        };
        let sample = Linear::from(CLEAN)
            .times(previous.sqrt())
            .plus((1.0 - previous - deviation * deviation).sqrt(), noise)
            .plus(deviation, Register::Noise);
        calls.push(Call {
            timestep,
            input_scale: 1.0,
            draws_noise: eta > 0.0,
            noising: training.noising(whole)?,
            denoised: clean.denoised(clip),
            step: vec![clean.clamped_into(CLEAN, clip), sample.into_register(Register::Sample)],
        });
    }
    Sampler::new(calls, timesteps, Vec::new(), 1.0)
}
