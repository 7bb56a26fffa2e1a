//! The noise schedule that a model was trained with.
//!
//! The reference keeps it in f32 and derives everything else from the rounded values, so the rounding is part of the
//! result: each operation here rounds where PyTorch's does (`cumprod` alone accumulates in f64).

use super::{SchedulerClass, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};
use std::f64::consts::PI;

/// What a class assumes where the configuration is silent.
struct BetaDefaults {
    start: f64,
    end: f64,
    schedule: &'static str,
}

/// What a class makes of `rescale_betas_zero_snr`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ZeroSnr {
    /// The class does not read the key.
    Ignored,
    /// The last step is pure noise.
    Exact,
    /// The last step keeps 2⁻²⁴ of signal, so that its noise level stays finite.
    AlmostExact,
}

fn reading(class: SchedulerClass) -> (BetaDefaults, ZeroSnr) {
    use SchedulerClass::*;
    let defaults = match class {
        HeunDiscrete | Kdpm2Discrete | Kdpm2AncestralDiscrete => {
            BetaDefaults { start: 0.00085, end: 0.012, schedule: "linear" }
        }
        Lcm | Tcd => BetaDefaults { start: 0.00085, end: 0.012, schedule: "scaled_linear" },
        _ => BetaDefaults { start: 0.0001, end: 0.02, schedule: "linear" },
    };
    let zero_snr = match class {
        Ddim | DdimInverse | Ddpm | Lcm | Tcd => ZeroSnr::Exact,
        DpmSolverMultistep | EulerAncestralDiscrete | EulerDiscrete | UniPcMultistep => ZeroSnr::AlmostExact,
        _ => ZeroSnr::Ignored,
    };
    (defaults, zero_snr)
}

/// Cumulated products of `1 − beta`, one per training timestep.
pub(super) struct Training {
    alphas: Vec<f32>,
}

impl Training {
    pub fn new(config: &SchedulerConfig) -> Result<Self> {
        let (defaults, zero_snr) = reading(config.class());
        let mut betas = betas(config, &defaults)?;
        let rescale = zero_snr != ZeroSnr::Ignored && config.flag("rescale_betas_zero_snr", false)?;
        if rescale {
            betas = rescaled(&betas);
        }
        let mut alphas = cumulated(&betas);
        if let (true, ZeroSnr::AlmostExact, Some(last)) = (rescale, zero_snr, alphas.last_mut()) {
            *last = 2f32.powi(-24);
        }
        Ok(Self { alphas })
    }

    pub fn steps(&self) -> usize {
        self.alphas.len()
    }

    pub fn alphas(&self) -> &[f32] {
        &self.alphas
    }

    /// The signal's share of the variance at a timestep.
    pub fn alpha(&self, timestep: i64) -> Result<f32> {
        usize::try_from(timestep).ok().and_then(|index| self.alphas.get(index)).copied().ok_or_else(|| {
            let last = self.steps().saturating_sub(1);
            Error::new(
                ErrorKind::InvalidSetting,
                format!("timestep {timestep} lies outside of the model's 0 to {last}"),
            )
        })
    }

    /// As [`Self::alpha`]; `beyond` before the first timestep.
    pub fn alpha_or(&self, timestep: i64, beyond: f32) -> Result<f32> {
        if timestep < 0 { Ok(beyond) } else { self.alpha(timestep) }
    }

    /// The alpha at the clean end: 1, or that of timestep 0 where the configuration says so.
    pub fn final_alpha(&self, config: &SchedulerConfig, one_by_default: bool) -> Result<f32> {
        if config.flag("set_alpha_to_one", one_by_default)? { Ok(1.0) } else { self.alpha(0) }
    }

    /// Noise levels `√((1 − alpha) / alpha)`, ascending.
    pub fn sigmas(&self) -> Vec<f32> {
        self.alphas.iter().map(|&alpha| ((1.0 - alpha) / alpha).sqrt()).collect()
    }

    /// Factors of clean latent and noise at a whole timestep.
    pub fn noising(&self, timestep: i64) -> Result<(f64, f64)> {
        let alpha = f64::from(self.alpha(timestep)?);
        Ok((alpha.sqrt(), (1.0 - alpha).sqrt()))
    }
}

fn betas(config: &SchedulerConfig, defaults: &BetaDefaults) -> Result<Vec<f32>> {
    let steps = config.training_steps()?;
    let start = config.number("beta_start", defaults.start)?;
    let end = config.number("beta_end", defaults.end)?;
    let betas: Vec<f32> = if let Some(trained) = config.numbers("trained_betas")? {
        trained.into_iter().map(|beta| beta as f32).collect()
    } else {
        match config.text("beta_schedule", defaults.schedule)? {
            "linear" => linspace(start as f32, end as f32, steps),
            "scaled_linear" => {
                linspace(start.sqrt() as f32, end.sqrt() as f32, steps).iter().map(|root| root * root).collect()
            }
            "squaredcos_cap_v2" => capped(steps, |time| ((time + 0.008) / 1.008 * PI / 2.0).cos().powi(2)),
            "exp" => capped(steps, |time| (time * -12.0).exp()),
            "sigmoid" => {
                let curve = |x: f32| 1.0 / (1.0 + f64::from(-x).exp() as f32);
                linspace(-6.0, 6.0, steps).iter().map(|&x| curve(x) * (end - start) as f32 + start as f32).collect()
            }
            other => {
                let sentence = format!("the beta_schedule \"{other}\" is not known");
                return Err(Error::new(ErrorKind::Unsupported, sentence));
            }
        }
    };
    if betas.len() != steps || !betas.iter().all(|beta| (0.0..=1.0).contains(beta)) {
        let sentence = format!("the betas must be {steps} numbers between 0 and 1; check beta_start and beta_end");
        return Err(Error::new(ErrorKind::InvalidSetting, sentence));
    }
    Ok(betas)
}

/// PyTorch's f32 `linspace`, which counts from both ends towards the middle and rounds once, after a fused multiply-add.
pub(super) fn linspace(start: f32, end: f32, count: usize) -> Vec<f32> {
    if count <= 1 {
        return vec![start; count];
    }
    let (first, last, step) = (f64::from(start), f64::from(end), f64::from((end - start) / (count - 1) as f32));
    let value = |index: usize| {
        // In f64 the product is exact.
        let value =
            if index < count / 2 { first + step * index as f64 } else { last - step * (count - 1 - index) as f64 };
        value as f32
    };
    (0..count).map(value).collect()
}

/// Betas under 0.999 whose cumulated alphas follow `curve` over 0 to 1.
fn capped(steps: usize, curve: impl Fn(f64) -> f64) -> Vec<f32> {
    let beta = |index: usize| {
        let (from, to) = (index as f64 / steps as f64, (index + 1) as f64 / steps as f64);
        (1.0 - curve(to) / curve(from)).min(0.999) as f32
    };
    (0..steps).map(beta).collect()
}

fn cumulated(betas: &[f32]) -> Vec<f32> {
    let products = betas.iter().scan(1f64, |product, &beta| {
        *product *= f64::from(1.0 - beta);
        Some(*product as f32)
    });
    products.collect()
}

/// Shifts and stretches the schedule so that its end is pure noise (Lin et al. 2023, algorithm 1).
fn rescaled(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = cumulated(betas).iter().map(|alpha| alpha.sqrt()).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else { return Vec::new() };
    let stretch = first / (first - last);
    let alphas: Vec<f32> = roots.iter().map(|root| ((root - last) * stretch).powi(2)).collect();
    let mut previous = 1f32;
    let mut beta = |alpha: f32| {
        let beta = 1.0 - alpha / previous;
        previous = alpha;
        beta
    };
    alphas.iter().map(|&alpha| beta(alpha)).collect()
}
