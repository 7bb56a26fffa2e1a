//! The schedule of the samplers that count noise on an unscaled picture (`Sample = clean + sigma · noise`): Euler, Heun,
//! LMS and KDPM2.

use super::options::Schedule;
use super::sigmas::{Levels, SigmaSpacing, rounded};
use super::spacing::Spacing;
use super::training::Training;
use super::{Options, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

/// Timesteps and levels of the steps, descending, without the final level.
pub(super) struct ScaledSchedule {
    pub levels: Levels,
    pub timesteps: Vec<f64>,
    /// In f64, as interpolated; the reference rounds them to f32 once the final level is known.
    pub sigmas: Vec<f64>,
}

const READABLE: [SigmaSpacing; 3] = [SigmaSpacing::Karras, SigmaSpacing::Exponential, SigmaSpacing::Beta];

impl ScaledSchedule {
    /// The schedule that the configuration or the request asks for.
    pub fn new(config: &SchedulerConfig, options: &Options, training: &Training) -> Result<Self> {
        let levels = Levels::new(training.sigmas());
        let timesteps = match &options.schedule {
            Schedule::Configured => Spacing::new(config, "linspace", options.steps)?.descending()?,
            Schedule::Timesteps(timesteps) => descending(timesteps, (training.steps() - 1) as f64)?,
            Schedule::Sigmas(_) => {
                return Err(Error::new(ErrorKind::Unsupported, "this sampler takes no given sigmas"));
            }
        };
        let timesteps: Vec<f64> = timesteps.into_iter().map(rounded).collect();
        let sigmas = timesteps.iter().map(|&timestep| levels.at(timestep)).collect();
        Ok(Self { levels, timesteps, sigmas })
    }

    /// Respaces the levels between their ends where a `use_…_sigmas` key asks for it.
    pub fn respaced(mut self, config: &SchedulerConfig, whole_karras_timesteps: bool) -> Result<Self> {
        let spacing = SigmaSpacing::of(config, &READABLE)?;
        let (Some(&highest), Some(&lowest)) = (self.sigmas.first(), self.sigmas.last()) else { return Ok(self) };
        if spacing == SigmaSpacing::Timesteps {
            return Ok(self);
        }
        self.sigmas = spacing.configured(config, highest, lowest, self.timesteps.len())?;
        let whole = whole_karras_timesteps && spacing == SigmaSpacing::Karras;
        let timestep = |&sigma: &f64| {
            let timestep = self.levels.timestep(sigma);
            rounded(if whole { timestep.round_ties_even() } else { timestep })
        };
        self.timesteps = self.sigmas.iter().map(timestep).collect();
        Ok(self)
    }

    /// The levels with a final one, in f32.
    pub fn with_final(&self, last: f64) -> Vec<f64> {
        self.sigmas.iter().copied().chain([last]).map(rounded).collect()
    }
}

/// Checks given timesteps or levels.
pub(super) fn descending(given: &[f64], highest: f64) -> Result<Vec<f64>> {
    let falls = given.windows(2).all(|pair| matches!(pair, [a, b] if a > b));
    if !given.is_empty() && falls && given.iter().all(|value| (0.0..=highest).contains(value)) {
        return Ok(given.to_vec());
    }
    let sentence = format!("given timesteps or sigmas must descend and lie between 0 and {highest}");
    Err(Error::new(ErrorKind::InvalidSetting, sentence))
}

/// Factor on the sample before the network sees it.
pub(super) fn input_scale(sigma: f64) -> f64 {
    1.0 / (sigma * sigma + 1.0).sqrt()
}

/// Factor on the initial noise: the highest level, or what noising a picture would give with leading timesteps.
pub(super) fn initial_scale(config: &SchedulerConfig, sigmas: &[f64]) -> Result<f64> {
    let highest = sigmas.iter().copied().fold(0.0, f64::max);
    Ok(match config.text("timestep_spacing", "linspace")? {
        "linspace" | "trailing" => highest,
        _ => (highest * highest + 1.0).sqrt(),
    })
}
