//! How a caller follows a generation and stops it.

use crate::models::loader::LoadProgress;
use crate::record::Control;

/// What the engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Encoding the prompt.
    Text,
    /// Removing noise, step by step.
    Denoise,
    /// From latent to picture.
    Decode,
}

/// A picture of the latent's size, RGBA, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub width: usize,
    pub height: usize,
    pub rgba: Vec<u8>,
}

/// Told as a generation goes on; asked between submissions whether to stop.
pub trait Observer {
    fn cancelled(&self) -> bool {
        false
    }
    fn phase(&self, _phase: Phase) {}
    /// The prompt lost this many tokens because it was too long.
    fn truncated(&self, _tokens: usize) {}
    /// Whether the next step should come with a preview, which costs a readback.
    fn wants_preview(&self) -> bool {
        false
    }
    /// `step` of `steps` is done (counted from 1), after `seconds`.
    fn step(&self, _step: usize, _steps: usize, _seconds: f64, _preview: Option<Preview>) {}
    /// Share of the current run that is done, 0…1.
    fn share(&self, _share: f64) {}
}

/// Follows nothing.
pub struct Unobserved;

impl Observer for Unobserved {}

/// An observer seen as the executor's control.
pub(super) struct Watched<'a>(pub &'a dyn Observer);

impl Control for Watched<'_> {
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }

    fn progress(&self, done: u64, total: u64) {
        self.0.share(done as f64 / total.max(1) as f64);
    }
}

/// Loading that nobody follows.
pub struct Unwatched;

impl LoadProgress for Unwatched {
    fn cancelled(&self) -> bool {
        false
    }

    fn loaded(&self, _bytes: u64) {}
}
