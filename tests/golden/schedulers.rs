//! Samplers alone: whole trajectories on the analytic model of the reference data.

use darkroom::error::ErrorKind;
use darkroom::sampler::noise::TorchGenerator;
use darkroom::sampler::options::{Churn, Schedule};
use darkroom::sampler::{Options, Register, Registers, Sampler, SchedulerConfig, build};
use serde_json::Value;

use crate::case::Case;
use crate::comparison::Bar;
use crate::report::{Report, Way};
use crate::{Result, Settings};

/// The reference computes its schedules in f32, in part.
const SCHEDULE: Bar = Bar::RelativeRms(1e-6);
const TRAJECTORY: Bar = Bar::RelativeRms(1e-5);
/// PyTorch's vector code and its plain code differ by up to 2.2e-6.
const DRAW: Bar = Bar::MaxAbs(2.5e-6);

pub fn run(_settings: &Settings, case: &Case, report: &mut Report) -> Result<()> {
    let config = SchedulerConfig::from_json(&case.value("scheduler")?.to_string())?;
    let sampler = match build(&config, &options(case)?) {
        Err(error) if error.kind == ErrorKind::Unsupported => {
            report.unsupported(&error.message);
            return Ok(());
        }
        built => built?,
    };
    compare_schedule(case, &sampler, report)?;
    follow(case, &sampler, report)
}

fn compare_schedule(case: &Case, sampler: &Sampler, report: &mut Report) -> Result<()> {
    for (name, actual) in [("timesteps", sampler.timesteps()), ("sigmas", sampler.sigmas())] {
        if let Some(expected) = case.find(name) {
            report.compare(name, Way::EndToEnd, &expected.shape, (&expected.values, actual), SCHEDULE);
        }
    }
    let scale = case.value("init_noise_sigma")?.as_f64().ok_or("init_noise_sigma is no number")?;
    report.compare("init_noise_sigma", Way::EndToEnd, &[], (&[scale], &[sampler.initial_scale()]), SCHEDULE);
    Ok(())
}

/// From the stored noise through every step; the noise itself is compared with our generator's.
fn follow(case: &Case, sampler: &Sampler, report: &mut Report) -> Result<()> {
    let mut generator = TorchGenerator::new(case.value("seed")?.as_u64().ok_or("seed is no number")?);
    let mut draw = |name: &str, report: &mut Report| -> Result<Vec<f32>> {
        let expected = case.tensor(name)?;
        let drawn = generator.normal(expected.values.len());
        report.compare(name, Way::EndToEnd, &expected.shape, (&expected.values, &drawn), DRAW);
        Ok(expected.floats())
    };
    let compare = |name: &str, actual: &[f32], report: &mut Report| -> Result<()> {
        let expected = case.tensor(name)?;
        report.compare(name, Way::EndToEnd, &expected.shape, (&expected.values, actual), TRAJECTORY);
        Ok(())
    };

    let noise = draw("noise.initial", report)?;
    let sample: Vec<f32> = noise.iter().map(|&noise| (f64::from(noise) * sampler.initial_scale()) as f32).collect();
    compare("latents.initial", &sample, report)?;
    let mut registers = Registers::new(sample.len(), sampler.memories());
    registers.set(Register::Sample, &sample)?;
    for (index, call) in sampler.calls().iter().enumerate() {
        let input: Vec<f32> =
            registers.get(Register::Sample)?.iter().map(|&x| (f64::from(x) * call.input_scale) as f32).collect();
        let name = format!("step.{index}.model_input");
        if case.find(&name).is_some() {
            compare(&name, &input, report)?;
        }
        let output: Vec<f32> = input.iter().map(|&x| model(x, call.timestep)).collect();
        registers.set(Register::ModelOutput, &output)?;
        if call.draws_noise {
            registers.set(Register::Noise, &draw(&format!("step.{index}.noise"), report)?)?;
        }
        registers.apply(&call.step)?;
        compare(&format!("step.{index}.latents"), registers.get(Register::Sample)?, report)?;
    }
    match case.find(&format!("step.{}.latents", sampler.calls().len())) {
        Some(_) => Err("the reference makes more calls".into()),
        None => Ok(()),
    }
}

/// `0.8·tanh(0.9x) + 0.15·sin(2x + 0.004t) + 0.05·cos(0.01t)`.
fn model(x: f32, timestep: f64) -> f32 {
    let x = f64::from(x);
    (0.8 * (0.9 * x).tanh() + 0.15 * (2.0 * x + 0.004 * timestep).sin() + 0.05 * (0.01 * timestep).cos()) as f32
}

fn options(case: &Case) -> Result<Options> {
    let steps = case.value("num_inference_steps")?.as_u64().ok_or("num_inference_steps is no number")?;
    let mut options = Options::new(usize::try_from(steps)?);
    for (key, value) in arguments(case, "set_timesteps")? {
        match key.as_str() {
            "sigmas" => options.schedule = Schedule::Sigmas(serde_json::from_value(value.clone())?),
            "timesteps" => options.schedule = Schedule::Timesteps(serde_json::from_value(value.clone())?),
            "mu" => options.mu = value.as_f64(),
            other => return Err(format!("set_timesteps has the unknown argument {other}").into()),
        }
    }
    let mut churn = Churn::default();
    for (key, value) in arguments(case, "step_kwargs")? {
        let number = value.as_f64().ok_or_else(|| format!("{key} is no number"))?;
        match key.as_str() {
            "eta" => options.eta = Some(number),
            "order" => options.order = number as usize,
            "s_churn" => churn.amount = number,
            "s_tmin" => churn.sigma_min = number,
            "s_tmax" => churn.sigma_max = number,
            "s_noise" => churn.noise = number,
            other => return Err(format!("step has the unknown argument {other}").into()),
        }
    }
    options.churn = churn;
    Ok(options)
}

fn arguments<'a>(case: &'a Case, key: &str) -> Result<impl Iterator<Item = (&'a String, &'a Value)>> {
    Ok(case.value(key)?.as_object().ok_or_else(|| format!("{key} is no object"))?.iter())
}
