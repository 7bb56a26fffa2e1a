//! The schedule of the exponential solvers (DPM-Solver, DEIS, UniPC), which count noise on a scaled picture
//! (`Sample = alpha · clean + sigma · noise`) and visit whole timesteps.

use super::options::Schedule;
use super::scaled_schedule::descending;
use super::sigmas::{Levels, SigmaSpacing, rounded, shifted};
use super::spacing::{Spacing, linspace};
use super::training::Training;
use super::{Options, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

/// A point of the schedule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// Share of the clean latent.
    pub alpha: f64,
    /// Share of the noise.
    pub sigma: f64,
    /// `ln(alpha / sigma)`.
    pub lambda: f64,
}

/// Which level a class ends on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FinalLevel {
    /// `final_sigmas_type`, where "sigma_min" is the lowest level of training.
    ZeroOrTraining,
    /// `final_sigmas_type`, where "sigma_min" is the run's last level if the levels are respaced.
    ZeroOrLast,
    /// Always as with "sigma_min" of [`Self::ZeroOrLast`].
    Last,
}

/// What a class reads.
pub(super) struct SolverKind {
    pub spacings: &'static [SigmaSpacing],
    pub final_level: FinalLevel,
    /// Reads `timestep_spacing` and `steps_offset`.
    pub spaced: bool,
    /// Reads `lambda_min_clipped`.
    pub clipped: bool,
    /// Leaves Karras timesteps of a cosine schedule unrounded until they are cut to whole ones.
    pub cuts_cosine_timesteps: bool,
}

pub(super) struct SolverSchedule {
    pub timesteps: Vec<f64>,
    /// As the reference lists them: noise over signal, or for straight paths the share of noise.
    pub sigmas: Vec<f64>,
    levels: Vec<Level>,
}

impl SolverSchedule {
    pub fn new(config: &SchedulerConfig, options: &Options, training: &Training, kind: &SolverKind) -> Result<Self> {
        let known = Levels::new(training.sigmas());
        let spacing = SigmaSpacing::of(config, kind.spacings)?;
        let (mut timesteps, mut sigmas) = match (&options.schedule, spacing) {
            (Schedule::Configured, SigmaSpacing::Timesteps) => {
                let timesteps = spaced_timesteps(config, options, training, kind)?;
                let sigmas = timesteps.iter().map(|&timestep| known.at(timestep)).collect();
                (timesteps, sigmas)
            }
            (Schedule::Configured, SigmaSpacing::Flow) => flow_levels(config, options)?,
            (Schedule::Configured, _) => respaced(config, options, &known, spacing, kind)?,
            (Schedule::Timesteps(timesteps), SigmaSpacing::Timesteps) => {
                let timesteps = descending(timesteps, (training.steps() - 1) as f64)?;
                let timesteps: Vec<f64> = timesteps.into_iter().map(f64::trunc).collect();
                let sigmas = timesteps.iter().map(|&timestep| known.at(timestep)).collect();
                (timesteps, sigmas)
            }
            _ => {
                let sentence = "given timesteps need plain sigmas, and given sigmas are not taken by this sampler";
                return Err(Error::new(ErrorKind::Unsupported, sentence));
            }
        };
        let respaced_last = sigmas.last().copied().filter(|_| spacing != SigmaSpacing::Timesteps);
        let last = match (kind.final_level, config.text("final_sigmas_type", "zero")?) {
            (FinalLevel::Last, _) | (FinalLevel::ZeroOrLast, "sigma_min") => respaced_last.unwrap_or(known.lowest()),
            (FinalLevel::ZeroOrTraining, "sigma_min") => known.lowest(),
            (_, "zero") => 0.0,
            (_, other) => {
                let sentence = format!("the final_sigmas_type \"{other}\" is not known");
                return Err(Error::new(ErrorKind::Unsupported, sentence));
            }
        };
        sigmas.push(last);
        timesteps.iter_mut().for_each(|timestep| *timestep = timestep.trunc());
        let sigmas: Vec<f64> = sigmas.into_iter().map(rounded).collect();
        let levels = sigmas.iter().map(|&sigma| level(sigma, spacing == SigmaSpacing::Flow)).collect();
        Ok(Self { timesteps, sigmas, levels })
    }

    /// The level at which a step starts.
    pub fn level(&self, step: usize) -> Result<Level> {
        let missing = || Error::new(ErrorKind::Internal, format!("the schedule has no step {step}"));
        self.levels.get(step).copied().ok_or_else(missing)
    }

    /// The level that a step reaches and those from which it and the steps before it start: `1 + steps` in all, newest
    /// first.
    pub fn path(&self, step: usize, steps: usize) -> Vec<Level> {
        let back = |distance: usize| (step + 1).checked_sub(distance).and_then(|index| self.levels.get(index)).copied();
        (0..=steps).map_while(back).collect()
    }
}

fn level(sigma: f64, straight: bool) -> Level {
    let (alpha, sigma) = if straight {
        (1.0 - sigma, sigma)
    } else {
        let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
        (alpha, sigma * alpha)
    };
    Level { alpha, sigma, lambda: alpha.ln() - sigma.ln() }
}

fn spaced_timesteps(
    config: &SchedulerConfig,
    options: &Options,
    training: &Training,
    kind: &SolverKind,
) -> Result<Vec<f64>> {
    let mut last = training.steps();
    if kind.clipped {
        let least = config.number("lambda_min_clipped", f64::NEG_INFINITY)?;
        let lambda = |&alpha: &f32| (f64::from(alpha).sqrt() / (1.0 - f64::from(alpha)).sqrt()).ln();
        last -= training.alphas().iter().rev().take_while(|alpha| lambda(alpha) < least).count();
    }
    if kind.spaced {
        return Spacing::new(config, "linspace", options.steps)?.descending_of_solver(last);
    }
    let plain = config.clone().with("timestep_spacing", "linspace").with("steps_offset", 0);
    Spacing::new(&plain, "linspace", options.steps)?.descending_of_solver(last)
}

fn respaced(
    config: &SchedulerConfig,
    options: &Options,
    known: &Levels,
    spacing: SigmaSpacing,
    kind: &SolverKind,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let sigmas = spacing.configured(config, known.highest(), known.lowest(), options.steps)?;
    let cosine = kind.cuts_cosine_timesteps && config.text("beta_schedule", "linear")? == "squaredcos_cap_v2";
    let rounds = matches!(spacing, SigmaSpacing::Karras | SigmaSpacing::Lu) && !cosine;
    let timesteps = sigmas.iter().map(|&sigma| {
        let timestep = known.timestep(sigma);
        if rounds { timestep.round_ties_even() } else { timestep }
    });
    Ok((timesteps.collect(), sigmas))
}

/// Straight paths (SD3, FLUX) for a solver: evenly spaced shares of noise, shifted.
fn flow_levels(config: &SchedulerConfig, options: &Options) -> Result<(Vec<f64>, Vec<f64>)> {
    let training_steps = config.training_steps()? as f64;
    let shift = match options.mu {
        Some(mu) => mu.exp(),
        None if config.flag("use_dynamic_shifting", false)? => {
            let sentence = "this schedule shifts with the picture's size (use_dynamic_shifting); give mu";
            return Err(Error::new(ErrorKind::InvalidSetting, sentence));
        }
        None => config.number("flow_shift", 1.0)?,
    };
    let alphas = linspace(1.0, 1.0 / training_steps, options.steps + 1);
    let sigmas: Vec<f64> = alphas.into_iter().skip(1).rev().map(|alpha| shifted(1.0 - alpha, shift)).collect();
    let timesteps = sigmas.iter().map(|sigma| sigma * training_steps).collect();
    Ok((timesteps, sigmas))
}
