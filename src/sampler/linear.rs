//! Linear forms over registers, so that an algorithm can be written as its paper writes it.

use super::{Combination, Denoised, Register};

/// `Σ factor · register`, each register at most once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Linear(Vec<(Register, f64)>);

impl From<Register> for Linear {
    fn from(register: Register) -> Self {
        Self(vec![(register, 1.0)])
    }
}

impl Linear {
    pub fn zero() -> Self {
        Self::default()
    }

    /// `self + factor · other`.
    #[must_use]
    pub fn plus(mut self, factor: f64, other: impl Into<Self>) -> Self {
        for (register, value) in other.into().0 {
            match self.0.iter_mut().find(|(known, _)| *known == register) {
                Some((_, sum)) => *sum += factor * value,
                None => self.0.push((register, factor * value)),
            }
        }
        self
    }

    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self::zero().plus(factor, self)
    }

    fn factor(&self, wanted: Register) -> f64 {
        self.0.iter().find(|(register, _)| *register == wanted).map_or(0.0, |&(_, factor)| factor)
    }

    /// `target = clamp(self)`. Terms with factor 0 are left out: their register may hold nothing yet.
    pub fn clamped_into(self, target: Register, clamp: Option<f64>) -> Combination {
        let terms = self.0.into_iter().filter(|&(_, factor)| factor != 0.0).collect();
        Combination { target, terms, clamp }
    }

    pub fn into_register(self, target: Register) -> Combination {
        self.clamped_into(target, None)
    }

    /// The preview of a prediction in `Sample` and `ModelOutput`.
    pub fn denoised(&self, clamp: Option<f64>) -> Denoised {
        Denoised { sample: self.factor(Register::Sample), model_output: self.factor(Register::ModelOutput), clamp }
    }
}
