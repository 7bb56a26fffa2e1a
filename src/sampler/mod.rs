//! Samplers as pure programs in f64: a step is a few linear combinations of registers, never of tensors.
//!
//! Decision: every algorithm answers, for call number `i`, which combinations of the current sample, the model's output,
//! fresh noise and remembered values come next. Goldens are then exact, and one GPU kernel runs them all. Rejected:
//! samplers that hold tensors, which would tie each of them to the device and hide the arithmetic.

/// A latent-sized value that a step reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Register {
    /// The latent being denoised.
    Sample,
    /// What the network returned in this call, after guidance.
    ModelOutput,
    /// A fresh standard normal draw, where [`Sampler::draws_noise`] says so.
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

/// An algorithm with a configuration and a number of steps.
pub trait Sampler {
    /// Model evaluations in all.
    fn calls(&self) -> usize;
    /// The timestep handed to the model in a call.
    fn timestep(&self, call: usize) -> f64;
    /// Factor on the initial noise (`init_noise_sigma`).
    fn initial_scale(&self) -> f64;
    /// Factor on the sample before the model sees it (`scale_model_input`).
    fn input_scale(&self, call: usize) -> f64;
    /// Whether the step of this call reads [`Register::Noise`].
    fn draws_noise(&self, call: usize) -> bool;
    /// Number of [`Register::Memory`] registers in use.
    fn memories(&self) -> usize;
    /// The combinations to run, in order, after the model's call; afterwards `Sample` holds the previous sample.
    fn step(&self, call: usize) -> Vec<Combination>;
    /// Factors (of the clean latent, of the noise) that make the sample with which `call` starts.
    fn noising(&self, call: usize) -> (f64, f64);
}
