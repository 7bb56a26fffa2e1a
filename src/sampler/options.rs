//! What a request may choose beside the scheduler's configuration.

use super::SchedulerConfig;
use crate::error::{Error, ErrorKind, Result};

/// Where the timesteps come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// The configuration's `timestep_spacing` and sigma settings.
    #[default]
    Configured,
    /// Given timesteps, descending.
    Timesteps(Vec<f64>),
    /// Given noise levels, descending. Flow matching takes them without the final zero, Euler with it, as `diffusers`
    /// does.
    Sigmas(Vec<f64>),
}

/// Timesteps of Sabour et al. 2024, "Align Your Steps", for ten steps of Stable Diffusion 1.
pub const ALIGN_YOUR_STEPS_SD: [f64; 10] = [999.0, 850.0, 736.0, 645.0, 545.0, 455.0, 343.0, 233.0, 124.0, 24.0];
/// As [`ALIGN_YOUR_STEPS_SD`], for Stable Diffusion XL.
pub const ALIGN_YOUR_STEPS_SDXL: [f64; 10] = [999.0, 845.0, 730.0, 587.0, 443.0, 310.0, 193.0, 116.0, 53.0, 13.0];

/// Extra noise of Euler, after Karras et al. 2022, algorithm 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    pub amount: f64,
    pub sigma_min: f64,
    pub sigma_max: f64,
    pub noise: f64,
}

impl Default for Churn {
    fn default() -> Self {
        Self { amount: 0.0, sigma_min: 0.0, sigma_max: f64::INFINITY, noise: 1.0 }
    }
}

/// Options of a run; [`Options::new`] gives the reference's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Of a configured schedule; a given one has its own length.
    pub steps: usize,
    /// Share of the schedule that img2img runs, over 0 to 1; `None` starts from pure noise.
    pub strength: Option<f64>,
    /// Share of fresh noise: DDIM (default 0), TCD (default 0.3).
    pub eta: Option<f64>,
    /// DDIM: derive the noise from the clipped prediction.
    pub clipped_noise: bool,
    /// LMS: how many derivatives are used.
    pub order: usize,
    pub churn: Churn,
    pub schedule: Schedule,
    /// Shift of schedules with `use_dynamic_shifting`, from the picture's size.
    pub mu: Option<f64>,
}

impl Options {
    pub fn new(steps: usize) -> Self {
        Self {
            steps,
            strength: None,
            eta: None,
            clipped_noise: false,
            order: 4,
            churn: Churn::default(),
            schedule: Schedule::Configured,
            mu: None,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let Churn { amount, sigma_min, sigma_max, noise } = self.churn;
        let rules = [
            (self.steps >= 1, "the number of steps must be 1 or more"),
            (
                self.strength.is_none_or(|value| value > 0.0 && value <= 1.0),
                "the strength must be over 0 and at most 1",
            ),
            (self.eta.is_none_or(|value| (0.0..=1.0).contains(&value)), "eta must be between 0 and 1"),
            ((1..=8).contains(&self.order), "the order of LMS must be between 1 and 8"),
            (amount >= 0.0 && sigma_min >= 0.0 && sigma_max >= 0.0 && noise >= 0.0, "churn settings must be 0 or more"),
            (self.mu.is_none_or(f64::is_finite), "mu must be a finite number"),
        ];
        match rules.iter().find(|(kept, _)| !kept) {
            Some((_, sentence)) => Err(Error::new(ErrorKind::InvalidSetting, *sentence)),
            None => Ok(()),
        }
    }

    /// The first step to run. As the reference's `get_timesteps`: the steps to run are `steps · strength`, rounded down
    /// in the older pipelines and up in those of flow matching. Classes with two calls per step start at twice this.
    pub(super) fn first_step(&self, config: &SchedulerConfig, steps: usize) -> usize {
        let all = steps as f64;
        let wanted = self.strength.map_or(all, |strength| all * strength);
        let skipped = if config.class().is_flow() { all - wanted } else { all - wanted.floor() };
        skipped.max(0.0) as usize
    }

    /// Refuses a given schedule, for classes that the reference lets space their own only.
    pub(super) fn require_configured_schedule(&self) -> Result<()> {
        if self.schedule == Schedule::Configured {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, "this sampler cannot take given timesteps or sigmas"))
    }
}
