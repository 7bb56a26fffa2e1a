//! What the network predicts, turned into the clean latent or the noise.

use super::linear::Linear;
use super::{Register, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

/// The `prediction_type` of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prediction {
    /// The noise (`epsilon`).
    Noise,
    /// `alpha · noise − sigma · clean` (`v_prediction`).
    Velocity,
    /// The clean latent (`sample`).
    Clean,
    /// `noise − clean` along a straight path (`flow_prediction`).
    Flow,
}

impl Prediction {
    /// What samplers of the diffusion family can use.
    pub const DIFFUSION: [Self; 3] = [Self::Noise, Self::Velocity, Self::Clean];
    pub const ALL: [Self; 4] = [Self::Noise, Self::Velocity, Self::Clean, Self::Flow];

    /// The configuration's prediction type, if it is among those that the class can use.
    pub fn of(config: &SchedulerConfig, usable: &[Self]) -> Result<Self> {
        let name = config.text("prediction_type", "epsilon")?;
        let prediction = match name {
            "epsilon" => Some(Self::Noise),
            "v_prediction" => Some(Self::Velocity),
            "sample" => Some(Self::Clean),
            "flow_prediction" => Some(Self::Flow),
            _ => None,
        };
        prediction.filter(|prediction| usable.contains(prediction)).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("prediction_type \"{name}\" cannot be used with this sampler; choose another sampler"),
            )
        })
    }

    /// The clean latent, where `Sample = alpha · clean + sigma · noise`.
    pub fn clean(self, alpha: f64, sigma: f64) -> Linear {
        let sample = Linear::from(Register::Sample);
        match self {
            Self::Noise => sample.plus(-sigma, Register::ModelOutput).times(1.0 / alpha),
            Self::Velocity => sample.times(alpha).plus(-sigma, Register::ModelOutput),
            Self::Clean => Register::ModelOutput.into(),
            Self::Flow => sample.plus(-sigma, Register::ModelOutput),
        }
    }

    /// The noise, where `Sample = alpha · clean + sigma · noise`.
    pub fn noise(self, alpha: f64, sigma: f64) -> Linear {
        match self {
            Self::Noise => Register::ModelOutput.into(),
            Self::Velocity => Linear::from(Register::ModelOutput).times(alpha).plus(sigma, Register::Sample),
            Self::Clean | Self::Flow => noise_beside(alpha, sigma, self.clean(alpha, sigma)),
        }
    }

    /// The clean latent, where `Sample = clean + sigma · noise` and the network saw `Sample / √(sigma² + 1)`.
    pub fn clean_of_scaled(self, sigma: f64) -> Linear {
        let sample = Linear::from(Register::Sample);
        let square = sigma * sigma + 1.0;
        match self {
            Self::Noise | Self::Flow => sample.plus(-sigma, Register::ModelOutput),
            Self::Velocity => sample.times(1.0 / square).plus(-sigma / square.sqrt(), Register::ModelOutput),
            Self::Clean => Register::ModelOutput.into(),
        }
    }

    /// `(Sample − clean) / sigma` of [`Self::clean_of_scaled`], with what cancels left out.
    pub fn slope_of_scaled(self, sigma: f64) -> Linear {
        let square = sigma * sigma + 1.0;
        match self {
            Self::Noise | Self::Flow => Register::ModelOutput.into(),
            Self::Velocity => {
                Linear::from(Register::Sample).times(sigma / square).plus(1.0 / square.sqrt(), Register::ModelOutput)
            }
            Self::Clean => slope_towards(Register::ModelOutput, sigma),
        }
    }
}

/// The noise that goes with a given clean latent: `(Sample − alpha · clean) / sigma`.
pub(super) fn noise_beside(alpha: f64, sigma: f64, clean: impl Into<Linear>) -> Linear {
    Linear::from(Register::Sample).plus(-alpha, clean).times(1.0 / sigma)
}

/// `(Sample − clean) / sigma`.
pub(super) fn slope_towards(clean: impl Into<Linear>, sigma: f64) -> Linear {
    noise_beside(1.0, sigma, clean)
}
