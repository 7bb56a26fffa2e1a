//! UniPC: a multistep predictor whose result the next call corrects with the output it just made (Zhao et al. 2023).

use super::dpm_multistep::solver_order;
use super::linear::Linear;
use super::prediction::Prediction;
use super::sigmas::SigmaSpacing;
use super::solver_schedule::{FinalLevel, Level, SolverKind, SolverSchedule};
use super::training::Training;
use super::{Call, Options, Register, Sampler, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

/// The corrected sample of the call before.
const LAST_SAMPLE: Register = Register::Memory(3);

const KIND: SolverKind = SolverKind {
    spacings: &[SigmaSpacing::Karras, SigmaSpacing::Exponential, SigmaSpacing::Beta, SigmaSpacing::Flow],
    final_level: FinalLevel::ZeroOrLast,
    spaced: true,
    clipped: false,
    cuts_cosine_timesteps: false,
};

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    let method = Method::of(config)?;
    let prediction = Prediction::of(config, if method.clean { &Prediction::ALL } else { &Prediction::DIFFUSION })?;
    let order = solver_order(config)?;
    let uncorrected = config.numbers("disable_corrector")?.unwrap_or_default();
    let training = Training::new(config)?;
    let schedule = SolverSchedule::new(config, options, &training, &KIND)?;

    let steps = schedule.timesteps.len();
    let lower_order_final = config.flag("lower_order_final", true)?;
    let start = options.first_step(config, steps);
    let mut last_order = 0;
    let mut calls = Vec::new();
    for (done, (index, &timestep)) in schedule.timesteps.iter().enumerate().skip(start).enumerate() {
        let memory = |age: usize| Register::Memory(((done - age.min(done)) % 3) as u8);
        let level = schedule.level(index)?;
        let clean = prediction.clean(level.alpha, level.sigma);
        let kept = if method.clean { clean.clone() } else { prediction.noise(level.alpha, level.sigma) };
        let mut step = vec![kept.into_register(Register::ModelOutput)];
        if done > 0 && !uncorrected.contains(&(index as f64 - 1.0)) {
            let corrected = method.correct(&schedule.path(index - 1, last_order), |age| memory(age + 1))?;
            step.push(corrected.into_register(Register::Sample));
        }
        step.push(Linear::from(Register::ModelOutput).into_register(memory(0)));
        step.push(Linear::from(Register::Sample).into_register(LAST_SAMPLE));

        let most = if lower_order_final { order.min(steps - index) } else { order };
        last_order = most.min(done + 1);
        let predicted = method.predict(&schedule.path(index, last_order), memory)?;
        step.push(predicted.into_register(Register::Sample));
        calls.push(Call {
            timestep,
            input_scale: 1.0,
            draws_noise: false,
            noising: (level.alpha, level.sigma),
            denoised: clean.denoised(None),
            step,
        });
    }
    Sampler::new(calls, schedule.timesteps, schedule.sigmas, 1.0)
}

struct Method {
    /// Expands the predicted clean latent, else the noise (`predict_x0`).
    clean: bool,
    /// `B(h) = h`, else `eʰ − 1` (`solver_type` "bh1", "bh2").
    linear: bool,
}

/// A step's size and the system whose solution weighs the differences of outputs.
struct Expansion {
    step: f64,
    /// `eʰ − 1`.
    gain: f64,
    /// `B(h)`.
    scale: f64,
    /// Where the outputs were made, in steps from the newest, then 1 for the target.
    reaches: Vec<f64>,
}

impl Method {
    fn of(config: &SchedulerConfig) -> Result<Self> {
        let unsupported = |sentence: String| Err(Error::new(ErrorKind::Unsupported, sentence));
        let linear = match config.text("solver_type", "bh2")? {
            "bh1" => true,
            // Other solvers' names count as bh2.
            "bh2" | "midpoint" | "heun" | "logrho" => false,
            other => return unsupported(format!("the solver_type \"{other}\" is not known")),
        };
        if config.is_given("solver_p") {
            return unsupported("UniPC with another predictor (solver_p) is not supported".into());
        }
        let clean = config.flag("predict_x0", true)?;
        if clean {
            config.refuse_thresholding()?;
        }
        Ok(Self { clean, linear })
    }

    /// `path`: the target and the levels before it, newest first.
    fn expansion(&self, path: &[Level]) -> Expansion {
        let (target, from) = match *path {
            [target, from, ..] => (target, from),
            _ => return Expansion { step: 0.0, gain: 0.0, scale: 0.0, reaches: Vec::new() },
        };
        let length = target.lambda - from.lambda;
        let step = if self.clean { -length } else { length };
        let gain = step.exp_m1();
        let reach = |level: &Level| (level.lambda - from.lambda) / length;
        let reaches = path.iter().skip(2).map(reach).chain([1.0]).collect();
        Expansion { step, gain, scale: if self.linear { step } else { gain }, reaches }
    }

    /// The first-order part, from the sample in `start`; and the factor on what corrects it.
    fn base(&self, path: &[Level], start: Register, newest: Register) -> (Linear, f64) {
        let [target, from, ..] = *path else { return (Linear::zero(), 0.0) };
        let expansion = self.expansion(path);
        let (keeps, takes) = if self.clean {
            (target.sigma / from.sigma, target.alpha)
        } else {
            (target.alpha / from.alpha, target.sigma)
        };
        let base = Linear::from(start).times(keeps).plus(-takes * expansion.gain, newest);
        (base, -takes * expansion.scale)
    }

    fn predict(&self, path: &[Level], memory: impl Fn(usize) -> Register) -> Result<Linear> {
        let (mut sample, factor) = self.base(path, Register::Sample, memory(0));
        let expansion = self.expansion(path);
        let weights = match path.len() {
            0..=2 => Vec::new(),
            3 => vec![0.5],
            _ => {
                let reaches: Vec<f64> = expansion.reaches.iter().copied().take(path.len() - 2).collect();
                expansion.weights(&reaches)?
            }
        };
        for (index, (weight, reach)) in weights.iter().zip(&expansion.reaches).enumerate() {
            let difference = Linear::from(memory(index + 1)).plus(-1.0, memory(0));
            sample = sample.plus(factor * weight / reach, difference);
        }
        Ok(sample)
    }

    /// The sample once more, now that the output at the target is known (in `ModelOutput`).
    fn correct(&self, path: &[Level], memory: impl Fn(usize) -> Register) -> Result<Linear> {
        let (mut sample, factor) = self.base(path, LAST_SAMPLE, memory(0));
        let expansion = self.expansion(path);
        let weights = if path.len() <= 2 { vec![0.5] } else { expansion.weights(&expansion.reaches)? };
        let outputs = (1..path.len().saturating_sub(1)).map(&memory).chain([Register::ModelOutput]);
        for ((weight, reach), output) in weights.iter().zip(&expansion.reaches).zip(outputs) {
            sample = sample.plus(factor * weight / reach, Linear::from(output).plus(-1.0, memory(0)));
        }
        Ok(sample)
    }
}

impl Expansion {
    /// Solves `Σ reachᵏ⁻¹ · weight = k! · φₖ₊₁(h) / B(h)` for as many rows as reaches.
    fn weights(&self, reaches: &[f64]) -> Result<Vec<f64>> {
        let (mut factorial, mut phi) = (1.0, self.gain / self.step - 1.0);
        let mut rows = Vec::new();
        for power in 0..reaches.len() {
            let mut row: Vec<f64> = reaches.iter().map(|reach| reach.powi(power as i32)).collect();
            row.push(phi * factorial / self.scale);
            rows.push(row);
            factorial *= power as f64 + 2.0;
            phi = phi / self.step - 1.0 / factorial;
        }
        solved(rows)
    }
}

/// Gauss–Jordan elimination of an augmented system whose pivots are not zero (distinct reaches).
fn solved(mut rows: Vec<Vec<f64>>) -> Result<Vec<f64>> {
    let undefined = || Error::new(ErrorKind::InvalidSetting, "two steps of the schedule fall together");
    for column in 0..rows.len() {
        let best = (column..rows.len())
            .max_by(|&a, &b| size(&rows, a, column).total_cmp(&size(&rows, b, column)))
            .unwrap_or(column);
        rows.swap(column, best);
        let pivot_row = rows.get(column).cloned().unwrap_or_default();
        let pivot = pivot_row.get(column).copied().filter(|pivot| pivot.abs() > 0.0).ok_or_else(undefined)?;
        for (index, row) in rows.iter_mut().enumerate() {
            let Some(&value) = row.get(column) else { continue };
            let factor = if index == column { 1.0 - 1.0 / pivot } else { value / pivot };
            row.iter_mut().zip(&pivot_row).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    Ok(rows.iter().map(|row| row.last().copied().unwrap_or_default()).collect())
}

fn size(rows: &[Vec<f64>], row: usize, column: usize) -> f64 {
    rows.get(row).and_then(|row| row.get(column)).map_or(0.0, |value| value.abs())
}
