//! `scheduler_config.json`: which class, and which of its settings are given.
//!
//! Decision: the settings stay a map, and each algorithm names its class's default where it reads a key. The defaults
//! differ between classes, so switching the class (as `from_config` does) must not carry them over. Rejected: one struct
//! with a field per key, which would fix one class's defaults for all of them.

use crate::error::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

macro_rules! classes {
    ($($variant:ident = $name:literal,)*) => {
        /// The scheduler classes that can be built, by their name in `diffusers`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SchedulerClass { $($variant,)* }

        impl SchedulerClass {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The class name, e.g. `EulerDiscreteScheduler`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

classes! {
    Ddim = "DDIMScheduler",
    DdimInverse = "DDIMInverseScheduler",
    Ddpm = "DDPMScheduler",
    DeisMultistep = "DEISMultistepScheduler",
    DpmSolverMultistep = "DPMSolverMultistepScheduler",
    DpmSolverSinglestep = "DPMSolverSinglestepScheduler",
    EulerAncestralDiscrete = "EulerAncestralDiscreteScheduler",
    EulerDiscrete = "EulerDiscreteScheduler",
    FlowMatchEulerDiscrete = "FlowMatchEulerDiscreteScheduler",
    FlowMatchHeunDiscrete = "FlowMatchHeunDiscreteScheduler",
    HeunDiscrete = "HeunDiscreteScheduler",
    Kdpm2AncestralDiscrete = "KDPM2AncestralDiscreteScheduler",
    Kdpm2Discrete = "KDPM2DiscreteScheduler",
    Lcm = "LCMScheduler",
    LmsDiscrete = "LMSDiscreteScheduler",
    Pndm = "PNDMScheduler",
    Tcd = "TCDScheduler",
    UniPcMultistep = "UniPCMultistepScheduler",
}

impl SchedulerClass {
    /// The class of that name.
    ///
    /// # Errors
    /// `Unsupported`, naming the class.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|class| class.name() == name).copied().ok_or_else(|| {
            let sentence = format!("the scheduler class \"{name}\" is not known; choose one of the listed samplers");
            Error::new(ErrorKind::Unsupported, sentence)
        })
    }

    /// Whether the class follows straight paths between noise and picture (SD3, FLUX).
    pub const fn is_flow(self) -> bool {
        matches!(self, Self::FlowMatchEulerDiscrete | Self::FlowMatchHeunDiscrete)
    }
}

/// A class and the settings given for it.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerConfig {
    class: SchedulerClass,
    settings: Map<String, Value>,
}

impl SchedulerConfig {
    /// Reads a stock file. Bare `Infinity`, `-Infinity` and `NaN`, which Python writes, are accepted. Keys listed in
    /// `_use_default_values` count as absent, as in the reference.
    ///
    /// # Errors
    /// `Malformed` where it is no JSON object with a class name, `Unsupported` for an unknown class.
    pub fn from_json(text: &str) -> Result<Self> {
        let malformed = |sentence: String| Error::new(ErrorKind::Malformed, sentence);
        let value = serde_json::from_str(&quote_bare_words(text))
            .map_err(|error| malformed(format!("the scheduler configuration is not valid JSON: {error}")))?;
        let Value::Object(mut settings) = value else {
            return Err(malformed("the scheduler configuration must be a JSON object".into()));
        };
        if let Some(Value::Array(unset)) = settings.remove("_use_default_values") {
            settings.retain(|key, _| !unset.iter().any(|name| name.as_str() == Some(key)));
        }
        match settings.get("_class_name").and_then(Value::as_str) {
            Some(name) => Ok(Self { class: SchedulerClass::named(name)?, settings }),
            None => Err(malformed("the scheduler configuration has no \"_class_name\"".into())),
        }
    }

    pub const fn class(&self) -> SchedulerClass {
        self.class
    }

    /// The same model's configuration for another class, as `from_config` makes it: given settings are kept.
    #[must_use]
    pub fn with_class(mut self, class: SchedulerClass) -> Self {
        self.class = class;
        self
    }

    /// With one setting replaced.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// The setting, unless it is absent or null.
    fn given(&self, key: &str) -> Option<&Value> {
        self.settings.get(key).filter(|value| !value.is_null())
    }

    /// Whether the setting is there and not null.
    pub fn is_given(&self, key: &str) -> bool {
        self.given(key).is_some()
    }

    fn read<'a, T>(&'a self, key: &str, wanted: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        self.given(key)
            .map(|value| {
                let sentence = || format!("\"{key}\" of the scheduler configuration must be {wanted}, not {value}");
                read(value).ok_or_else(|| Error::new(ErrorKind::Malformed, sentence()))
            })
            .transpose()
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.read(key, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub fn text<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str> {
        Ok(self.read(key, "a text", Value::as_str)?.unwrap_or(default))
    }

    /// A number, which may be infinite where the file says so.
    pub fn number(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.optional_number(key)?.unwrap_or(default))
    }

    pub fn optional_number(&self, key: &str) -> Result<Option<f64>> {
        self.read(key, "a number", number)
    }

    /// A whole number, 0 or more and at most a million.
    pub fn count(&self, key: &str, default: usize) -> Result<usize> {
        let whole = |value: &Value| number(value).filter(|&count| count.fract() == 0.0 && (0.0..=1e6).contains(&count));
        Ok(self.read(key, "a whole number", whole)?.map_or(default, |count| count as usize))
    }

    /// A list of numbers, if given.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        self.read(key, "a list of numbers", |value| value.as_array()?.iter().map(number).collect())
    }

    /// The number of timesteps that the model was trained with.
    pub fn training_steps(&self) -> Result<usize> {
        let steps = self.count("num_train_timesteps", 1000)?;
        if (1..=100_000).contains(&steps) {
            return Ok(steps);
        }
        Err(Error::new(
            ErrorKind::InvalidSetting,
            format!("num_train_timesteps must be between 1 and 100000, not {steps}"),
        ))
    }

    /// The shift `mu` of schedules with `use_dynamic_shifting`, for a picture of that many tokens; else `None`. On a
    /// straight line between `base_shift` and `max_shift` (`calculate_shift` of the reference's pipelines).
    pub fn dynamic_shift(&self, tokens: usize) -> Result<Option<f64>> {
        if !self.flag("use_dynamic_shifting", false)? {
            return Ok(None);
        }
        let (low, high) = (self.number("base_shift", 0.5)?, self.number("max_shift", 1.15)?);
        let (few, many) = (self.count("base_image_seq_len", 256)?, self.count("max_image_seq_len", 4096)?);
        let slope = (high - low) / (many as f64 - few as f64);
        Ok(Some(low + (tokens as f64 - few as f64) * slope))
    }

    /// The limit of the predicted clean latent, where the class clips it.
    pub(super) fn clip(&self, clips_by_default: bool) -> Result<Option<f64>> {
        if !self.flag("clip_sample", clips_by_default)? {
            return Ok(None);
        }
        let range = self.number("clip_sample_range", 1.0)?;
        if range > 0.0 && range.is_finite() {
            return Ok(Some(range));
        }
        Err(Error::new(ErrorKind::InvalidSetting, format!("clip_sample_range must be over 0, not {range}")))
    }

    /// # Errors
    /// `Unsupported` for dynamic thresholding: its limit is a quantile of the whole latent, no linear combination.
    pub(super) fn refuse_thresholding(&self) -> Result<()> {
        if self.flag("thresholding", false)? {
            let sentence = "dynamic thresholding is not supported; set \"thresholding\" to false";
            return Err(Error::new(ErrorKind::Unsupported, sentence));
        }
        Ok(())
    }
}

fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("Infinity" | "inf") => Some(f64::INFINITY),
        Some("-Infinity" | "-inf") => Some(f64::NEG_INFINITY),
        Some("NaN" | "nan") => Some(f64::NAN),
        _ => value.as_f64(),
    }
}

/// Puts quotes around the bare words of Python's JSON dialect, outside of strings.
fn quote_bare_words(text: &str) -> String {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let mut output = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(character) = rest.chars().next() {
        let word = WORDS.iter().find(|word| !quoted && rest.starts_with(**word));
        let (length, marks) = match (word, character) {
            (Some(word), _) => (word.len(), "\""),
            (None, '\\') if quoted => (1 + rest.chars().nth(1).map_or(0, char::len_utf8), ""),
            (None, character) => (character.len_utf8(), ""),
        };
        quoted ^= character == '"';
        let (piece, after) = rest.split_at(length);
        output.extend([marks, piece, marks]);
        rest = after;
    }
    output
}
