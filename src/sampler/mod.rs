//! Samplers as data: every call of a run, with its timestep and the few linear combinations that follow it, worked out
//! in f64 before the run starts.
//!
//! Decision: an algorithm is a function from (configuration, options) to a [`Sampler`], a list of [`Call`]s. All that is
//! left to do in a run is to multiply and add, so one GPU kernel serves every algorithm, goldens are exact, and a
//! configuration that would divide by zero is refused before the first model call. Rejected: samplers that hold tensors
//! (they tie each algorithm to the device), and a trait with a method per question (every answer is known in advance).
//!
//! The algorithms follow `diffusers` 0.35.2, including where it rounds to f32 and what it does when a run starts late.

pub mod config;
pub mod noise;
pub mod options;
pub mod registers;
pub mod table;

mod beta_quantile;
mod ddim;
mod ddim_inverse;
mod ddpm;
mod deis;
mod dpm_multistep;
mod dpm_singlestep;
mod dpm_weights;
mod euler;
mod euler_ancestral;
mod flow_euler;
mod flow_heun;
mod heun;
mod kdpm2;
mod kdpm2_ancestral;
mod lcm;
mod linear;
mod lms;
mod pndm;
mod prediction;
mod scaled_schedule;
mod sigmas;
mod solver_schedule;
mod spacing;
mod tcd;
mod training;
mod unipc;

use crate::error::{Error, ErrorKind, Result};
pub use config::{SchedulerClass, SchedulerConfig};
pub use options::Options;
pub use registers::Registers;

/// A latent-sized value that a step reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Register {
    /// The latent being denoised.
    Sample,
    /// What the network returned in this call, after guidance. Steps may reuse it as a scratch place.
    ModelOutput,
    /// A fresh standard normal draw, where [`Call::draws_noise`] says so.
    Noise,
    /// Values kept between calls.
    Memory(u8),
}

/// `target = clamp(Σ factor · register)`; the sum reads the registers as they are before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Combination {
    pub target: Register,
    pub terms: Vec<(Register, f64)>,
    /// Limits the result to ±this value.
    pub clamp: Option<f64>,
}

/// The clean latent that a call predicts: `clamp(sample · Sample + model_output · ModelOutput)`, read before the step.
/// For previews; the step does not need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Denoised {
    pub sample: f64,
    pub model_output: f64,
    pub clamp: Option<f64>,
}

/// One evaluation of the network and what follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The timestep handed to the network; fractional for some algorithms.
    pub timestep: f64,
    /// Factor on the sample before the network sees it (`scale_model_input`).
    pub input_scale: f64,
    /// Whether a standard normal is drawn for this step. True also where its factor turns out to be zero, because the
    /// draw advances the generator.
    pub draws_noise: bool,
    /// Factors (of the clean latent, of the noise) that make the sample with which this call starts; for img2img, and
    /// for inpainting with what comes before the next call.
    pub noising: (f64, f64),
    pub denoised: Denoised,
    /// The combinations to run, in order, after the network's call; then `Sample` holds the previous sample.
    pub step: Vec<Combination>,
}

/// A run of one algorithm, ready to be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampler {
    calls: Vec<Call>,
    timesteps: Vec<f64>,
    sigmas: Vec<f64>,
    initial_scale: f64,
    memories: u8,
}

impl Sampler {
    /// The calls to make, in order; with img2img those of the skipped start are absent.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The whole schedule's timesteps, one per call, skipped start included.
    pub fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    /// The whole schedule's noise levels as the reference lists them; empty for algorithms that have none.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// Factor on the initial noise (`init_noise_sigma`).
    pub fn initial_scale(&self) -> f64 {
        self.initial_scale
    }

    /// Number of [`Register::Memory`] registers in use.
    pub fn memories(&self) -> usize {
        self.memories.into()
    }

    /// Counts the memories and refuses a run that holds an infinite or undefined number.
    fn new(calls: Vec<Call>, timesteps: Vec<f64>, sigmas: Vec<f64>, initial_scale: f64) -> Result<Self> {
        if calls.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidSetting,
                "no step is left to run: raise the steps or the strength",
            ));
        }
        let mut memories = 0;
        for (index, call) in calls.iter().enumerate() {
            let terms = call.step.iter().flat_map(|combination| &combination.terms);
            let scalars = [call.timestep, call.input_scale, call.noising.0, call.noising.1, initial_scale];
            if !terms.clone().map(|&(_, factor)| factor).chain(scalars).all(f64::is_finite) {
                return Err(Error::new(
                    ErrorKind::InvalidSetting,
                    format!(
                        "step {} of this sampler would divide by zero: change the steps or the schedule",
                        index + 1
                    ),
                ));
            }
            let targets = call.step.iter().map(|combination| combination.target);
            for register in targets.chain(terms.map(|&(register, _)| register)) {
                if let Register::Memory(number) = register {
                    memories = memories.max(number.saturating_add(1));
                }
            }
        }
        Ok(Self { calls, timesteps, sigmas, initial_scale, memories })
    }
}

/// Works out the run of the class that `config` names.
///
/// # Errors
/// `Unsupported` for options that no linear combination can express, `InvalidSetting` and `Malformed` for bad values.
pub fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    let algorithm = match config.class() {
        SchedulerClass::Ddim => ddim::build,
        SchedulerClass::DdimInverse => ddim_inverse::build,
        SchedulerClass::Ddpm => ddpm::build,
        SchedulerClass::DeisMultistep => deis::build,
        SchedulerClass::DpmSolverMultistep => dpm_multistep::build,
        SchedulerClass::DpmSolverSinglestep => dpm_singlestep::build,
        SchedulerClass::EulerAncestralDiscrete => euler_ancestral::build,
        SchedulerClass::EulerDiscrete => euler::build,
        SchedulerClass::FlowMatchEulerDiscrete => flow_euler::build,
        SchedulerClass::FlowMatchHeunDiscrete => flow_heun::build,
        SchedulerClass::HeunDiscrete => heun::build,
        SchedulerClass::Kdpm2AncestralDiscrete => kdpm2_ancestral::build,
        SchedulerClass::Kdpm2Discrete => kdpm2::build,
        SchedulerClass::Lcm => lcm::build,
        SchedulerClass::LmsDiscrete => lms::build,
        SchedulerClass::Pndm => pndm::build,
        SchedulerClass::Tcd => tcd::build,
        SchedulerClass::UniPcMultistep => unipc::build,
    };
    options.check()?;
    algorithm(config, options).map_err(|error| error.within(config.class().name()))
}

/// The cumulated products of `1 − beta` that a noise-predicting model was trained with, one per training timestep, as its
/// scheduler's class reads them (`alphas_cumprod`).
///
/// # Errors
/// `Unsupported` for an unknown schedule, `InvalidSetting` and `Malformed` for bad values.
pub fn cumulated_alphas(config: &SchedulerConfig) -> Result<Vec<f32>> {
    Ok(training::Training::new(config)?.alphas().to_vec())
}
