//! What a visitor asks for, and what is refused.

use crate::error::{Error, ErrorKind, Result};

/// Settings of one generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// One picture each.
    pub prompts: Vec<String>,
    /// As many as prompts, or one for all.
    pub negative_prompts: Vec<String>,
    pub steps: usize,
    /// Classifier-free guidance; 1 and below switches it off.
    pub guidance: f64,
    /// Rescales the guided output towards the conditional one's spread (Lin et al. 2023, section 3.4); 0 is off.
    pub guidance_rescale: f64,
    /// An id of `sampler::table`; none for the model's own.
    pub sampler: Option<String>,
    /// Share of fresh noise in DDIM; none for the sampler's own.
    pub eta: Option<f64>,
    /// One generator for the whole batch, or one for each picture.
    pub seeds: Vec<u64>,
    /// Pixels.
    pub width: usize,
    pub height: usize,
    /// Last layers of the text encoder that are left out for the prompt.
    pub clip_skip: usize,
}

/// More than any device of today draws in one piece.
const LONGEST_SIDE: usize = 8192;

impl Settings {
    /// A square picture of one prompt with usual settings.
    pub fn new(prompt: impl Into<String>, size: usize) -> Self {
        Self {
            prompts: vec![prompt.into()],
            negative_prompts: vec![String::new()],
            steps: 20,
            guidance: 7.5,
            guidance_rescale: 0.0,
            sampler: None,
            eta: None,
            seeds: vec![0],
            width: size,
            height: size,
            clip_skip: 0,
        }
    }

    pub fn images(&self) -> usize {
        self.prompts.len()
    }

    /// Whether the network runs on the negative prompt as well.
    pub fn guided(&self) -> bool {
        self.guidance > 1.0
    }

    /// The negative prompt of a picture.
    pub fn negative_prompt(&self, image: usize) -> &str {
        self.negative_prompts.get(image).or(self.negative_prompts.first()).map_or("", String::as_str)
    }

    /// Refuses what no run can fulfil. `pixel_step` is what sides must be multiples of.
    pub fn check(&self, pixel_step: usize) -> Result<()> {
        let refuse = |sentence: String| Err(Error::new(ErrorKind::InvalidSetting, sentence));
        if self.prompts.is_empty() {
            return refuse("There is no prompt".into());
        }
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if side == 0 || side > LONGEST_SIDE || side % pixel_step != 0 {
                return refuse(format!(
                    "The {name} is {side}; it must be a multiple of {pixel_step} between {pixel_step} and {LONGEST_SIDE}"
                ));
            }
        }
        if self.steps == 0 || self.steps > 1000 {
            return refuse(format!("{} steps; between 1 and 1000 are possible", self.steps));
        }
        for (name, value) in
            [("guidance", self.guidance), ("guidance rescale", self.guidance_rescale), ("eta", self.eta.unwrap_or(0.0))]
        {
            if !value.is_finite() || value.abs() > 1000.0 {
                return refuse(format!("The {name} is {value}; it must be a number of ordinary size"));
            }
        }
        if self.seeds.len() != 1 && self.seeds.len() != self.prompts.len() {
            return refuse(format!("{} seeds for {} pictures", self.seeds.len(), self.prompts.len()));
        }
        Ok(())
    }
}
