//! What one DPM-Solver step weighs, shared by the multistep and the singlestep solvers (Lu et al. 2022).

use super::SchedulerConfig;
use super::prediction::Prediction;
use super::solver_schedule::Level;
use crate::error::{Error, ErrorKind, Result};

/// `algorithm_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// Expands the predicted noise (`dpmsolver`).
    Noise,
    /// Expands the predicted clean latent (`dpmsolver++`).
    Clean,
    /// As [`Self::Noise`] on the stochastic equation (`sde-dpmsolver`).
    StochasticNoise,
    /// As [`Self::Clean`] on the stochastic equation (`sde-dpmsolver++`).
    StochasticClean,
}

impl Algorithm {
    pub fn of(config: &SchedulerConfig) -> Result<Self> {
        match config.text("algorithm_type", "dpmsolver++")? {
            "dpmsolver" => Ok(Self::Noise),
            // Left over from a DEIS configuration.
            "dpmsolver++" | "deis" => Ok(Self::Clean),
            "sde-dpmsolver" => Ok(Self::StochasticNoise),
            "sde-dpmsolver++" => Ok(Self::StochasticClean),
            other => Err(Error::new(ErrorKind::Unsupported, format!("the algorithm_type \"{other}\" is not known"))),
        }
    }

    pub const fn predicts_clean(self) -> bool {
        matches!(self, Self::Clean | Self::StochasticClean)
    }

    /// The predictions that it can expand; straight paths only in the form of the clean latent.
    pub const fn usable(self) -> &'static [Prediction] {
        if self.predicts_clean() { &Prediction::ALL } else { &Prediction::DIFFUSION }
    }

    pub const fn draws_noise(self) -> bool {
        matches!(self, Self::StochasticNoise | Self::StochasticClean)
    }
}

/// `solver_type`: how the first derivative is weighed. Other solvers' names count as midpoint.
pub(super) fn is_heun(config: &SchedulerConfig) -> Result<bool> {
    match config.text("solver_type", "midpoint")? {
        "heun" => Ok(true),
        "midpoint" | "logrho" | "bh1" | "bh2" => Ok(false),
        other => Err(Error::new(ErrorKind::Unsupported, format!("the solver_type \"{other}\" is not known"))),
    }
}

/// Factors of a step from one level to another, on the sample, the prediction, its first and second derivative in
/// units of the step, and the noise.
pub(super) struct Weights {
    pub sample: f64,
    pub prediction: f64,
    /// The first derivative's at the midpoint rule.
    pub midpoint: f64,
    /// The first derivative's exact integral.
    pub first: f64,
    pub second: f64,
    pub noise: f64,
}

impl Weights {
    pub fn new(algorithm: Algorithm, from: Level, to: Level) -> Self {
        let step = to.lambda - from.lambda;
        match algorithm {
            Algorithm::Clean => {
                let gain = -(-step).exp_m1();
                Self {
                    sample: to.sigma / from.sigma,
                    prediction: to.alpha * gain,
                    midpoint: 0.5 * to.alpha * gain,
                    first: to.alpha * (1.0 - gain / step),
                    second: to.alpha * (0.5 - (step - gain) / (step * step)),
                    noise: 0.0,
                }
            }
            Algorithm::Noise => {
                let gain = step.exp_m1();
                Self {
                    sample: to.alpha / from.alpha,
                    prediction: -to.sigma * gain,
                    midpoint: -0.5 * to.sigma * gain,
                    first: -to.sigma * (gain / step - 1.0),
                    second: -to.sigma * ((gain - step) / (step * step) - 0.5),
                    noise: 0.0,
                }
            }
            Algorithm::StochasticClean => {
                let double = 2.0 * step;
                let gain = -(-double).exp_m1();
                Self {
                    sample: to.sigma / from.sigma * (-step).exp(),
                    prediction: to.alpha * gain,
                    midpoint: 0.5 * to.alpha * gain,
                    first: to.alpha * (1.0 - gain / double),
                    second: to.alpha * ((gain - double) / (double * double) - 0.5),
                    noise: to.sigma * gain.sqrt(),
                }
            }
            Algorithm::StochasticNoise => {
                let gain = step.exp_m1();
                Self {
                    sample: to.alpha / from.alpha,
                    prediction: -2.0 * to.sigma * gain,
                    midpoint: -to.sigma * gain,
                    first: -2.0 * to.sigma * (gain / step - 1.0),
                    second: f64::NAN,
                    noise: to.sigma * (2.0 * step).exp_m1().sqrt(),
                }
            }
        }
    }
}
