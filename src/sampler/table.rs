//! The samplers that a visitor can choose, by the names that AUTOMATIC1111 and ComfyUI gave them.
//!
//! The one source for the page's list, the documentation and the command line.

use super::{Options, Sampler, SchedulerClass, SchedulerConfig};
use crate::error::{Error, ErrorKind, Result};

/// A value that an entry puts over the model's own setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    Flag(bool),
    Text(&'static str),
    Count(u32),
}

/// A class with the settings that an entry gives it; all others come from the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub class: SchedulerClass,
    pub settings: &'static [(&'static str, Setting)],
}

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Stable, for addresses, stored settings and the command line.
    pub id: &'static str,
    /// As AUTOMATIC1111 writes it: sampler, then schedule type unless it is the plain one.
    pub name: &'static str,
    /// ComfyUI's sampler and scheduler; empty where it has no such pair.
    pub comfy: (&'static str, &'static str),
    /// For models of noise or velocity prediction; `None` for the model's own scheduler.
    pub diffusion: Option<Choice>,
    /// For flow-matching models (SD3, FLUX), where the entry makes sense for them.
    pub flow: Option<Choice>,
}

impl Entry {
    /// The model's configuration as this entry changes it.
    ///
    /// # Errors
    /// `InvalidSetting` where the entry does not suit the kind of model.
    pub fn configure(&self, model: &SchedulerConfig) -> Result<SchedulerConfig> {
        if self.id == MODEL_DEFAULT {
            return Ok(model.clone());
        }
        let is_flow = model.class().is_flow() || model.text("prediction_type", "epsilon")? == "flow_prediction";
        let Some(choice) = (if is_flow { self.flow } else { self.diffusion }) else {
            let kind = if is_flow { "flow-matching models" } else { "models that predict noise" };
            let sentence = format!("the sampler \"{}\" does not suit {kind}; choose another", self.name);
            return Err(Error::new(ErrorKind::InvalidSetting, sentence));
        };
        // The model's own spacing of noise levels is turned off: the entry names the one it wants.
        let spacings = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"];
        let mut config = model.clone().with_class(choice.class);
        config = spacings.iter().fold(config, |config, key| config.with(key, false));
        if is_flow && !choice.class.is_flow() {
            let shift = model.number("shift", model.number("flow_shift", 1.0)?)?;
            let flow = config.with("use_flow_sigmas", true).with("prediction_type", "flow_prediction");
            config = flow.with("flow_shift", shift);
        }
        for &(key, setting) in choice.settings {
            config = match setting {
                Setting::Flag(value) => config.with(key, value),
                Setting::Text(value) => config.with(key, value),
                Setting::Count(value) => config.with(key, value),
            };
        }
        Ok(config)
    }
}

/// Id of the entry that keeps the model's own scheduler.
pub const MODEL_DEFAULT: &str = "default";

const KARRAS: (&str, Setting) = ("use_karras_sigmas", Setting::Flag(true));
const EXPONENTIAL: (&str, Setting) = ("use_exponential_sigmas", Setting::Flag(true));
const BETA: (&str, Setting) = ("use_beta_sigmas", Setting::Flag(true));
const TRAILING: (&str, Setting) = ("timestep_spacing", Setting::Text("trailing"));
const PLUS: (&str, Setting) = ("algorithm_type", Setting::Text("dpmsolver++"));
const STOCHASTIC: (&str, Setting) = ("algorithm_type", Setting::Text("sde-dpmsolver++"));
const MIDPOINT: (&str, Setting) = ("solver_type", Setting::Text("midpoint"));
const HEUN: (&str, Setting) = ("solver_type", Setting::Text("heun"));
const ORDER_2: (&str, Setting) = ("solver_order", Setting::Count(2));
const ORDER_3: (&str, Setting) = ("solver_order", Setting::Count(3));

macro_rules! entries {
    ($($id:literal $name:literal ($sampler:literal, $scheduler:literal)
        $($class:ident [$($setting:expr),*])? $(, flow $flow:ident [$($flow_setting:expr),*])?;)*) => {
        /// All entries, in the order in which they are shown.
        pub const SAMPLERS: &[Entry] = &[$(Entry {
            id: $id,
            name: $name,
            comfy: ($sampler, $scheduler),
            diffusion: entries!(@choice $($class [$($setting),*])?),
            flow: entries!(@choice $($flow [$($flow_setting),*])?),
        },)*];
    };
    (@choice) => { None };
    (@choice $class:ident [$($setting:expr),*]) => {
        Some(Choice { class: SchedulerClass::$class, settings: &[$($setting),*] })
    };
}

entries! {
    "default" "Default" ("", "");
    "euler" "Euler" ("euler", "normal") EulerDiscrete [], flow FlowMatchEulerDiscrete [];
    "euler-karras" "Euler Karras" ("euler", "karras") EulerDiscrete [KARRAS], flow FlowMatchEulerDiscrete [KARRAS];
    "euler-exponential" "Euler Exponential" ("euler", "exponential")
        EulerDiscrete [EXPONENTIAL], flow FlowMatchEulerDiscrete [EXPONENTIAL];
    "euler-beta" "Euler Beta" ("euler", "beta") EulerDiscrete [BETA], flow FlowMatchEulerDiscrete [BETA];
    "euler-trailing" "Euler SGM Uniform" ("euler", "sgm_uniform") EulerDiscrete [TRAILING];
    "euler-a" "Euler a" ("euler_ancestral", "normal") EulerAncestralDiscrete [];
    "euler-a-trailing" "Euler a SGM Uniform" ("euler_ancestral", "sgm_uniform") EulerAncestralDiscrete [TRAILING];
    "heun" "Heun" ("heun", "normal") HeunDiscrete [], flow FlowMatchHeunDiscrete [];
    "heun-karras" "Heun Karras" ("heun", "karras") HeunDiscrete [KARRAS];
    "lms" "LMS" ("lms", "normal") LmsDiscrete [];
    "lms-karras" "LMS Karras" ("lms", "karras") LmsDiscrete [KARRAS];
    "dpm2" "DPM2" ("dpm_2", "normal") Kdpm2Discrete [];
    "dpm2-karras" "DPM2 Karras" ("dpm_2", "karras") Kdpm2Discrete [KARRAS];
    "dpm2-a" "DPM2 a" ("dpm_2_ancestral", "normal") Kdpm2AncestralDiscrete [];
    "dpm2-a-karras" "DPM2 a Karras" ("dpm_2_ancestral", "karras") Kdpm2AncestralDiscrete [KARRAS];
    "dpmpp-2m" "DPM++ 2M" ("dpmpp_2m", "normal")
        DpmSolverMultistep [PLUS, MIDPOINT, ORDER_2], flow DpmSolverMultistep [PLUS, MIDPOINT, ORDER_2];
    "dpmpp-2m-karras" "DPM++ 2M Karras" ("dpmpp_2m", "karras") DpmSolverMultistep [PLUS, MIDPOINT, ORDER_2, KARRAS];
    "dpmpp-2m-exponential" "DPM++ 2M Exponential" ("dpmpp_2m", "exponential")
        DpmSolverMultistep [PLUS, MIDPOINT, ORDER_2, EXPONENTIAL];
    "dpmpp-2m-beta" "DPM++ 2M Beta" ("dpmpp_2m", "beta") DpmSolverMultistep [PLUS, MIDPOINT, ORDER_2, BETA];
    "dpmpp-2m-trailing" "DPM++ 2M SGM Uniform" ("dpmpp_2m", "sgm_uniform")
        DpmSolverMultistep [PLUS, MIDPOINT, ORDER_2, TRAILING];
    "dpmpp-2m-sde" "DPM++ 2M SDE" ("dpmpp_2m_sde", "normal") DpmSolverMultistep [STOCHASTIC, MIDPOINT, ORDER_2];
    "dpmpp-2m-sde-karras" "DPM++ 2M SDE Karras" ("dpmpp_2m_sde", "karras")
        DpmSolverMultistep [STOCHASTIC, MIDPOINT, ORDER_2, KARRAS];
    "dpmpp-2m-sde-exponential" "DPM++ 2M SDE Exponential" ("dpmpp_2m_sde", "exponential")
        DpmSolverMultistep [STOCHASTIC, MIDPOINT, ORDER_2, EXPONENTIAL];
    "dpmpp-2m-sde-heun" "DPM++ 2M SDE Heun" ("", "") DpmSolverMultistep [STOCHASTIC, HEUN, ORDER_2];
    "dpmpp-2m-sde-heun-karras" "DPM++ 2M SDE Heun Karras" ("", "")
        DpmSolverMultistep [STOCHASTIC, HEUN, ORDER_2, KARRAS];
    "dpmpp-3m" "DPM++ 3M" ("", "")
        DpmSolverMultistep [PLUS, MIDPOINT, ORDER_3], flow DpmSolverMultistep [PLUS, MIDPOINT, ORDER_3];
    "dpmpp-3m-sde" "DPM++ 3M SDE" ("dpmpp_3m_sde", "normal") DpmSolverMultistep [STOCHASTIC, MIDPOINT, ORDER_3];
    "dpmpp-3m-sde-karras" "DPM++ 3M SDE Karras" ("dpmpp_3m_sde", "karras")
        DpmSolverMultistep [STOCHASTIC, MIDPOINT, ORDER_3, KARRAS];
    "dpmpp-2s" "DPM++ 2S" ("", "") DpmSolverSinglestep [PLUS, MIDPOINT, ORDER_2];
    "dpmpp-2s-karras" "DPM++ 2S Karras" ("", "") DpmSolverSinglestep [PLUS, MIDPOINT, ORDER_2, KARRAS];
    "dpmpp-3s" "DPM++ 3S" ("", "") DpmSolverSinglestep [PLUS, MIDPOINT, ORDER_3];
    "ddim" "DDIM" ("ddim", "ddim_uniform") Ddim [];
    "ddim-trailing" "DDIM SGM Uniform" ("ddim", "sgm_uniform") Ddim [TRAILING];
    "ddpm" "DDPM" ("ddpm", "normal") Ddpm [];
    "plms" "PLMS" ("", "") Pndm [("skip_prk_steps", Setting::Flag(true))];
    "pndm" "PNDM" ("", "") Pndm [("skip_prk_steps", Setting::Flag(false))];
    "unipc" "UniPC" ("uni_pc_bh2", "normal")
        UniPcMultistep [("solver_type", Setting::Text("bh2")), ORDER_2],
        flow UniPcMultistep [("solver_type", Setting::Text("bh2")), ORDER_2];
    "unipc-karras" "UniPC Karras" ("uni_pc_bh2", "karras")
        UniPcMultistep [("solver_type", Setting::Text("bh2")), ORDER_2, KARRAS];
    "deis" "DEIS" ("deis", "normal") DeisMultistep [ORDER_2], flow DeisMultistep [ORDER_2];
    "lcm" "LCM" ("lcm", "sgm_uniform") Lcm [];
    "tcd" "TCD" ("", "") Tcd [];
}

/// The entry of that id, name, or ComfyUI pair (`"dpmpp_2m karras"`), in any case.
///
/// # Errors
/// `Unsupported`, naming what was asked for.
pub fn find(wanted: &str) -> Result<&'static Entry> {
    let wanted = wanted.trim();
    let is = |text: &str| text.eq_ignore_ascii_case(wanted);
    let fits = |entry: &&Entry| {
        let (sampler, scheduler) = entry.comfy;
        is(entry.id) || is(entry.name) || (!sampler.is_empty() && is(&format!("{sampler} {scheduler}")))
    };
    SAMPLERS.iter().find(fits).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, format!("there is no sampler \"{wanted}\"; choose one of the list"))
    })
}

/// Works out a run of the sampler or scheduler class of that name (none: the model's own) on a model with this
/// `scheduler_config.json`.
///
/// # Errors
/// As [`find`], [`Entry::configure`] and [`super::build`].
pub fn build(id_or_class: Option<&str>, model: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    let wanted = id_or_class.unwrap_or(MODEL_DEFAULT);
    let config = match SchedulerClass::named(wanted) {
        Ok(class) => model.clone().with_class(class),
        Err(_) => find(wanted)?.configure(model)?,
    };
    super::build(&config, options)
}
