//! Noise levels between timesteps, and the named ways to space them.

use super::SchedulerConfig;
use super::beta_quantile::beta_quantile;
use super::spacing::linspace;
use crate::error::{Error, ErrorKind, Result};

/// Rounds to f32, as the reference stores schedules.
pub(super) fn rounded(value: f64) -> f64 {
    f64::from(value as f32)
}

/// The noise levels of training, ascending, and the way back from a level to a timestep.
pub(super) struct Levels {
    sigmas: Vec<f32>,
    logarithms: Vec<f64>,
}

impl Levels {
    pub fn new(sigmas: Vec<f32>) -> Self {
        let logarithms = sigmas.iter().map(|&sigma| rounded(f64::from(sigma).ln())).collect();
        Self { sigmas, logarithms }
    }

    pub fn lowest(&self) -> f64 {
        self.sigmas.first().copied().unwrap_or_default().into()
    }

    pub fn highest(&self) -> f64 {
        self.sigmas.last().copied().unwrap_or_default().into()
    }

    /// The level at a fractional timestep, between its neighbours on a straight line.
    pub fn at(&self, timestep: f64) -> f64 {
        let below = timestep.floor().max(0.0) as usize;
        match (self.sigmas.get(below), self.sigmas.get(below + 1)) {
            (Some(&low), Some(&high)) => {
                let (low, high) = (f64::from(low), f64::from(high));
                (high - low) * (timestep - below as f64).max(0.0) + low
            }
            _ => self.highest(),
        }
    }

    /// The fractional timestep of a level, between its neighbours in the logarithm.
    pub fn timestep(&self, sigma: f64) -> f64 {
        let wanted = sigma.max(1e-10).ln();
        let last_pair = self.logarithms.len().saturating_sub(2);
        let below = self.logarithms.partition_point(|&level| level <= wanted).saturating_sub(1).min(last_pair);
        match (self.logarithms.get(below), self.logarithms.get(below + 1)) {
            (Some(&low), Some(&high)) => {
                let weight = ((low - wanted) / (low - high)).clamp(0.0, 1.0);
                (1.0 - weight) * below as f64 + weight * (below + 1) as f64
            }
            _ => 0.0,
        }
    }
}

/// How levels are spaced, from the `use_…` keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SigmaSpacing {
    Timesteps,
    Karras,
    Exponential,
    Beta,
    Lu,
    Flow,
}

impl SigmaSpacing {
    /// The first of `readable` (the keys that the class reads, in its order of precedence) that is set.
    pub fn of(config: &SchedulerConfig, readable: &[Self]) -> Result<Self> {
        for &spacing in readable {
            if config.flag(spacing.key(), false)? {
                return Ok(spacing);
            }
        }
        Ok(Self::Timesteps)
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Timesteps => "",
            Self::Karras => "use_karras_sigmas",
            Self::Exponential => "use_exponential_sigmas",
            Self::Beta => "use_beta_sigmas",
            Self::Lu => "use_lu_lambdas",
            Self::Flow => "use_flow_sigmas",
        }
    }

    /// `count` levels from `highest` down to `lowest`. Only for the spacings that are defined by their ends.
    pub fn between(self, highest: f64, lowest: f64, count: usize) -> Vec<f64> {
        match self {
            // Karras et al. 2022, equation 5, rho = 7.
            Self::Karras => {
                let (from, to) = (highest.powf(1.0 / 7.0), lowest.powf(1.0 / 7.0));
                linspace(0.0, 1.0, count).into_iter().map(|ramp| (from + ramp * (to - from)).powf(7.0)).collect()
            }
            // Lu et al. 2022 space the half log of the signal-to-noise ratio evenly, which is the same curve.
            Self::Exponential | Self::Lu => {
                linspace(highest.ln(), lowest.ln(), count).into_iter().map(f64::exp).collect()
            }
            // Lee et al. 2024: quantiles of Beta(0.6, 0.6).
            Self::Beta => linspace(0.0, 1.0, count)
                .into_iter()
                .map(|ramp| lowest + beta_quantile(1.0 - ramp, 0.6) * (highest - lowest))
                .collect(),
            Self::Timesteps | Self::Flow => Vec::new(),
        }
    }

    /// As [`Self::between`], with the ends replaced by the configuration's `sigma_max` and `sigma_min` if given.
    pub fn configured(self, config: &SchedulerConfig, highest: f64, lowest: f64, count: usize) -> Result<Vec<f64>> {
        let highest = config.number("sigma_max", highest)?;
        let lowest = config.number("sigma_min", lowest)?;
        if lowest > 0.0 && highest.is_finite() && highest >= lowest {
            return Ok(self.between(highest, lowest, count));
        }
        let sentence =
            format!("the noise levels must descend from a finite one to one over 0, not {highest} to {lowest}");
        Err(Error::new(ErrorKind::InvalidSetting, sentence))
    }
}

/// Shifts straight-path noise levels towards the noisy end, for larger pictures.
pub(super) fn shifted(sigma: f64, shift: f64) -> f64 {
    shift * sigma / (1.0 + (shift - 1.0) * sigma)
}
