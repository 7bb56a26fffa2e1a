//! DDPM: ancestral sampling with the variance of the forward process (Ho et al. 2020, algorithm 2).

use super::linear::Linear;
use super::options::Schedule;
use super::prediction::Prediction;
use super::scaled_schedule::descending;
use super::spacing::Spacing;
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    config.refuse_thresholding()?;
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &Prediction::DIFFUSION)?;
    let clip = config.clip(true)?;
    let variance = Variance::of(config)?;
    let timesteps = match &options.schedule {
        Schedule::Configured => Spacing::new(config, "leading", options.steps)?.descending()?,
        Schedule::Timesteps(timesteps) => descending(timesteps, (training.steps() - 1) as f64)?,
        Schedule::Sigmas(_) => return Err(Error::new(ErrorKind::Unsupported, "DDPM takes no given sigmas")),
    };
    let timesteps: Vec<f64> = timesteps.into_iter().map(f64::round_ties_even).collect();

    let first = options.first_step(config, timesteps.len());
    let mut calls = Vec::new();
    for (index, &timestep) in timesteps.iter().enumerate().skip(first) {
        let whole = timestep as i64;
        let alpha = training.alpha(whole)?;
        let previous = timesteps.get(index + 1).map_or(Ok(1.0), |&timestep| training.alpha(timestep as i64))?;
        // The beta between the two timesteps, in f32: it cancels, and the reference's rounding shows.
        let step_beta = f64::from(1.0 - alpha / previous);
        let (alpha, previous) = (f64::from(alpha), f64::from(previous));
        let beta = 1.0 - alpha;

        let clean = prediction.clean(alpha.sqrt(), beta.sqrt());
        let deviation = if whole > 0 { variance.deviation(beta, previous, step_beta) } else { 0.0 };
        let sample = Linear::from(Register::Sample)
            .times((alpha / previous).sqrt() * (1.0 - previous) / beta)
            .plus(previous.sqrt() * step_beta / beta, Register::ModelOutput)
            .plus(deviation, Register::Noise);
        calls.push(Call {
            timestep,
            input_scale: 1.0,
            draws_noise: whole > 0,
            noising: training.noising(whole)?,
            denoised: clean.denoised(clip),
            step: vec![clean.clamped_into(Register::ModelOutput, clip), sample.into_register(Register::Sample)],
        });
    }
    Sampler::new(calls, timesteps, Vec::new(), 1.0)
}

/// `variance_type`.
#[derive(Clone, Copy)]
enum Variance {
    /// That of the posterior, given the clean latent.
    Small,
    /// The forward step's.
    Large,
}

impl Variance {
    fn of(config: &SchedulerConfig) -> Result<Self> {
        match config.text("variance_type", "fixed_small")? {
            "fixed_small" | "fixed_small_log" => Ok(Self::Small),
            "fixed_large" => Ok(Self::Large),
            "learned" | "learned_range" => Err(Error::new(
                ErrorKind::Unsupported,
                "a learned variance is a second output of the network, which no sampler here reads; choose DDIM",
            )),
            other => Err(Error::new(ErrorKind::Unsupported, format!("the variance_type \"{other}\" is not known"))),
        }
    }

    /// Standard deviation of a step's noise.
    fn deviation(self, beta: f64, previous_alpha: f64, step_beta: f64) -> f64 {
        match self {
            Self::Small => ((1.0 - previous_alpha) / beta * step_beta).max(1e-20).sqrt(),
            Self::Large => step_beta.sqrt(),
        }
    }
}
