//! The register file on the CPU: what the GPU's `sampler_step` kernel does, in plain loops.

use super::{Combination, Register};
use crate::error::{Error, ErrorKind, Result};

/// The registers of a run, each `elements` long, kept in f32 as on the GPU; sums are made in f64.
#[derive(Clone, Debug)]
pub struct Registers {
    elements: usize,
    values: Vec<Vec<f32>>,
}

impl Registers {
    /// All zeros, with `memories` as [`super::Sampler::memories`] says.
    pub fn new(elements: usize, memories: usize) -> Self {
        Self { elements, values: vec![vec![0.0; elements]; 3 + memories] }
    }

    fn index(register: Register) -> usize {
        match register {
            Register::Sample => 0,
            Register::ModelOutput => 1,
            Register::Noise => 2,
            Register::Memory(number) => 3 + usize::from(number),
        }
    }

    /// The register's elements.
    ///
    /// # Errors
    /// `Internal` for a memory beyond the number given at the start.
    pub fn get(&self, register: Register) -> Result<&[f32]> {
        self.values.get(Self::index(register)).map(Vec::as_slice).ok_or_else(|| unknown(register))
    }

    /// Replaces the register's elements.
    ///
    /// # Errors
    /// `Internal` where the length or the register does not fit.
    pub fn set(&mut self, register: Register, values: &[f32]) -> Result<()> {
        let slot = self.values.get_mut(Self::index(register)).ok_or_else(|| unknown(register))?;
        if values.len() != slot.len() {
            let sentence = format!("{register:?} holds {} elements and was given {}", slot.len(), values.len());
            return Err(Error::new(ErrorKind::Internal, sentence));
        }
        slot.copy_from_slice(values);
        Ok(())
    }

    /// Runs the combinations in order.
    ///
    /// # Errors
    /// `Internal` for a memory beyond the number given at the start.
    pub fn apply(&mut self, combinations: &[Combination]) -> Result<()> {
        for Combination { target, terms, clamp } in combinations {
            let mut sums = vec![0f64; self.elements];
            for &(register, factor) in terms {
                for (sum, &value) in sums.iter_mut().zip(self.get(register)?) {
                    *sum += factor * f64::from(value);
                }
            }
            let slot = self.values.get_mut(Self::index(*target)).ok_or_else(|| unknown(*target))?;
            for (value, sum) in slot.iter_mut().zip(sums) {
                *value = clamp.map_or(sum, |limit| sum.max(-limit).min(limit)) as f32;
            }
        }
        Ok(())
    }
}

fn unknown(register: Register) -> Error {
    Error::new(ErrorKind::Internal, format!("{register:?} is not in the register file"))
}
