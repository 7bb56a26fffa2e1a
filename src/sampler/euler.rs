//! Euler's method on the probability-flow equation, with optional churn (Karras et al. 2022, algorithms 1 and 2).

use super::linear::Linear;
use super::options::Schedule;
use super::prediction::Prediction;
use super::scaled_schedule::{ScaledSchedule, descending, initial_scale, input_scale};
use super::sigmas::{Levels, rounded};
use super::training::{Training, linspace};
use super::{Call, Combination, Options, Register, Sampler, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    let training = Training::new(config)?;
    let prediction = Prediction::of(config, &Prediction::DIFFUSION)?;
    let (timesteps, sigmas) = schedule(config, options, &training, prediction)?;

    let first = options.first_step(config, timesteps.len());
    let mut calls = Vec::new();
    let levels = sigmas.iter().zip(sigmas.iter().skip(1));
    for (&timestep, (&sigma, &next)) in timesteps.iter().zip(levels).skip(first) {
        let churn = &options.churn;
        let raises = churn.amount > 0.0 && (churn.sigma_min..=churn.sigma_max).contains(&sigma);
        let share = (churn.amount / (sigmas.len() - 1) as f64).min(2f64.sqrt() - 1.0);
        let raised = if raises { sigma * (share + 1.0) } else { sigma };

        let mut step = Vec::new();
        if raises {
            let factor = churn.noise * (raised * raised - sigma * sigma).sqrt();
            let sample = Linear::from(Register::Sample).plus(factor, Register::Noise);
            step.push(sample.into_register(Register::Sample));
        }
        step.extend(advance(prediction, sigma, raised, next));
        calls.push(Call {
            timestep,
            input_scale: input_scale(sigma),
            draws_noise: raises,
            noising: (1.0, sigma),
            denoised: prediction.clean_of_scaled(sigma).denoised(None),
            step,
        });
    }
    let initial_scale = initial_scale(config, &sigmas)?;
    Sampler::new(calls, timesteps, sigmas, initial_scale)
}

/// From the raised level to the next one along the slope.
fn advance(prediction: Prediction, sigma: f64, raised: f64, next: f64) -> Vec<Combination> {
    let sample = Linear::from(Register::Sample);
    if prediction != Prediction::Velocity {
        return vec![sample.plus(next - raised, prediction.slope_of_scaled(raised)).into_register(Register::Sample)];
    }
    // The last training level of a zero-SNR schedule is 4096, where the sample of the first step cancels by a factor of
    // 200: the reference's rounding to f32 after each operation then shows in the picture, so it is repeated. With churn,
    // the reference scales velocities by the level before it.
    let scratch = |linear: Linear| linear.into_register(Register::ModelOutput);
    vec![
        scratch(prediction.clean_of_scaled(sigma)),
        scratch(sample.clone().plus(-1.0, Register::ModelOutput)),
        scratch(Linear::from(Register::ModelOutput).times(rounded(next - raised) / raised)),
        sample.plus(1.0, Register::ModelOutput).into_register(Register::Sample),
    ]
}

/// Timesteps, and levels with the final one.
fn schedule(
    config: &SchedulerConfig,
    options: &Options,
    training: &Training,
    prediction: Prediction,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut timesteps, sigmas) = if let Schedule::Sigmas(sigmas) = &options.schedule {
        let levels = Levels::new(training.sigmas());
        let sigmas: Vec<f64> = descending(sigmas, f64::MAX)?.into_iter().map(rounded).collect();
        let steps = sigmas.len() - 1;
        (sigmas.iter().take(steps).map(|&sigma| rounded(levels.timestep(sigma))).collect(), sigmas)
    } else {
        let mut schedule = ScaledSchedule::new(config, options, training)?;
        match config.text("interpolation_type", "linear")? {
            "linear" => {}
            // One level more than steps, as the reference has it.
            "log_linear" => {
                let (highest, lowest) = (schedule.levels.highest().ln() as f32, schedule.levels.lowest().ln() as f32);
                let logarithms = linspace(highest, lowest, schedule.timesteps.len() + 1);
                schedule.sigmas = logarithms.into_iter().map(|value| f64::from(value).exp()).collect();
            }
            other => {
                let sentence = format!("the interpolation_type \"{other}\" is not known");
                return Err(Error::new(ErrorKind::Unsupported, sentence));
            }
        }
        let lowest = schedule.levels.lowest();
        let schedule = schedule.respaced(config, false)?;
        let last = match config.text("final_sigmas_type", "zero")? {
            "sigma_min" => lowest,
            "zero" => 0.0,
            other => {
                let sentence = format!("the final_sigmas_type \"{other}\" is not known");
                return Err(Error::new(ErrorKind::Unsupported, sentence));
            }
        };
        let sigmas = schedule.with_final(last);
        (schedule.timesteps, sigmas)
    };
    if config.text("timestep_type", "discrete")? == "continuous" && prediction == Prediction::Velocity {
        timesteps = sigmas.iter().take(timesteps.len()).map(|sigma| rounded(0.25 * sigma.ln())).collect();
    }
    Ok((timesteps, sigmas))
}
