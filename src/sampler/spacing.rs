//! Which of the training timesteps a run visits.

use super::SchedulerConfig;
use crate::error::{Error, ErrorKind, Result};

/// NumPy's `linspace`.
pub(super) fn linspace(start: f64, stop: f64, count: usize) -> Vec<f64> {
    let intervals = count.saturating_sub(1).max(1);
    let step = (stop - start) / intervals as f64;
    (0..count).map(|index| if index == intervals { stop } else { index as f64 * step + start }).collect()
}

/// `timestep_spacing` with what it needs.
pub(super) struct Spacing<'a> {
    name: &'a str,
    offset: f64,
    training_steps: usize,
    steps: usize,
}

impl<'a> Spacing<'a> {
    /// # Errors
    /// `InvalidSetting` for more steps than the model was trained with.
    pub fn new(config: &'a SchedulerConfig, default: &'static str, steps: usize) -> Result<Self> {
        let training_steps = config.training_steps()?;
        if !(1..=training_steps).contains(&steps) {
            let sentence = format!("the number of steps must be between 1 and {training_steps}, not {steps}");
            return Err(Error::new(ErrorKind::InvalidSetting, sentence));
        }
        let name = config.text("timestep_spacing", default)?;
        Ok(Self { name, offset: config.count("steps_offset", 0)? as f64, training_steps, steps })
    }

    fn unknown<T>(&self) -> Result<T> {
        Err(Error::new(ErrorKind::Unsupported, format!("the timestep_spacing \"{}\" is not known", self.name)))
    }

    /// Every `training_steps / steps`-th timestep, descending from `last − 1`. Floating point may give the reference one
    /// timestep too many, below 0; it is left out here.
    fn trailing(&self, last: usize) -> Vec<f64> {
        let last = last as f64;
        let stride = (last - self.training_steps as f64 / self.steps as f64) - last;
        let values = (0..self.steps).map(|index| (last + index as f64 * stride).round_ties_even() - 1.0);
        values.take_while(|&timestep| timestep >= 0.0).collect()
    }

    /// Descending; `linspace` gives fractions, which the caller may round.
    pub fn descending(&self) -> Result<Vec<f64>> {
        match self.name {
            "linspace" => Ok(linspace(0.0, (self.training_steps - 1) as f64, self.steps).into_iter().rev().collect()),
            "leading" => {
                let stride = self.training_steps / self.steps;
                Ok((0..self.steps).rev().map(|index| (index * stride) as f64 + self.offset).collect())
            }
            "trailing" => Ok(self.trailing(self.training_steps)),
            _ => self.unknown(),
        }
    }

    /// As the DPM solvers space: from `last − 1` towards a timestep after the final one, which is not visited.
    pub fn descending_of_solver(&self, last: usize) -> Result<Vec<f64>> {
        match self.name {
            "linspace" => {
                let values = linspace(0.0, last as f64 - 1.0, self.steps + 1);
                Ok(values.into_iter().skip(1).rev().map(f64::round_ties_even).collect())
            }
            "leading" => {
                let stride = last / (self.steps + 1);
                Ok((1..=self.steps).rev().map(|index| (index * stride) as f64 + self.offset).collect())
            }
            "trailing" => Ok(self.trailing(last)),
            _ => self.unknown(),
        }
    }
}
