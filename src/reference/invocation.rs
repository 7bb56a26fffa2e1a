//! What a twin sees of a dispatch: parameters and bindings by their names in the shader.

use std::collections::HashMap;

use bytemuck::{AnyBitPattern, Pod};
use half::f16;

use crate::error::{Error, ErrorKind, Result};
use crate::record::{Binding, Dispatch, Recording, ResidentId, Storage};
use crate::reference::Words;

/// One dispatch on CPU buffers.
pub struct Invocation<'a> {
    recording: &'a Recording,
    dispatch: &'a Dispatch,
    transients: &'a mut [Words],
    residents: &'a mut HashMap<ResidentId, Words>,
}

impl<'a> Invocation<'a> {
    pub(super) fn new(
        recording: &'a Recording,
        dispatch: &'a Dispatch,
        transients: &'a mut [Words],
        residents: &'a mut HashMap<ResidentId, Words>,
    ) -> Self {
        Self { recording, dispatch, transients, residents }
    }

    /// The uniform `Params`.
    pub fn parameters<P: AnyBitPattern>(&self) -> Result<P> {
        bytemuck::try_pod_read_unaligned(&self.dispatch.parameters)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("parameters: {error}")))
    }

    /// Whether the variant has a feature.
    pub fn has(&self, feature: &str) -> bool {
        self.dispatch.variant.has(feature)
    }

    pub fn workgroups(&self) -> [u32; 3] {
        self.dispatch.workgroups
    }

    /// Whether an optional operand is there.
    pub fn is_present(&self, name: &str) -> Result<bool> {
        Ok(self.binding(name)? != Binding::Absent)
    }

    /// The whole binding as words; empty where the operand is absent.
    pub fn words(&self, name: &str) -> Result<Vec<u32>> {
        let Binding::Buffer(id) = self.binding(name)? else { return Ok(Vec::new()) };
        match self.recording.buffer(id)?.storage {
            Storage::Transient => self.transients.get(id.0 as usize),
            Storage::Resident(resident) => self.residents.get(&resident),
        }
        .cloned()
        .ok_or_else(|| self.missing(name))
    }

    /// The whole binding as bytes.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        Ok(bytemuck::cast_slice(&self.words(name)?).to_vec())
    }

    /// The whole binding as f32.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.words(name)?.into_iter().map(f32::from_bits).collect())
    }

    /// The whole binding in the variant's element type, widened to f32.
    pub fn elements(&self, name: &str) -> Result<Vec<f32>> {
        if !self.has("activations_f16") {
            return self.floats(name);
        }
        let words = self.words(name)?;
        Ok(words
            .into_iter()
            .flat_map(|word| [f16::from_bits(word as u16).to_f32(), f16::from_bits((word >> 16) as u16).to_f32()])
            .collect())
    }

    /// Replaces the first words of a binding. What is bound as absent is dropped.
    pub fn store_words(&mut self, name: &str, values: &[u32]) -> Result<()> {
        self.store(name, values)
    }

    /// Replaces the first values of an f32 binding.
    pub fn store_floats(&mut self, name: &str, values: &[f32]) -> Result<()> {
        self.store(name, values)
    }

    /// Replaces the first values of a binding in the variant's element type, rounding to nearest even for f16.
    pub fn store_elements(&mut self, name: &str, values: &[f32]) -> Result<()> {
        if !self.has("activations_f16") {
            return self.store(name, values);
        }
        let halves: Vec<u16> = values.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
        self.store(name, &halves)
    }

    fn store<T: Pod>(&mut self, name: &str, values: &[T]) -> Result<()> {
        let missing = self.missing(name);
        let Binding::Buffer(id) = self.binding(name)? else { return Ok(()) };
        let words = match self.recording.buffer(id)?.storage {
            Storage::Transient => self.transients.get_mut(id.0 as usize),
            Storage::Resident(resident) => self.residents.get_mut(&resident),
        }
        .ok_or_else(|| missing.clone())?;
        let source: &[u8] = bytemuck::cast_slice(values);
        let target: &mut [u8] = bytemuck::cast_slice_mut(words);
        target
            .get_mut(..source.len())
            .ok_or_else(|| missing.within(format!("{} bytes do not fit", source.len())))?
            .copy_from_slice(source);
        Ok(())
    }

    fn binding(&self, name: &str) -> Result<Binding> {
        let index = self.dispatch.variant.bindings.iter().position(|info| info.name == name);
        index.and_then(|index| self.dispatch.bindings.get(index)).copied().ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Error {
        Error::new(ErrorKind::Internal, format!("{} has no binding {name}", self.dispatch.variant.name))
    }
}
