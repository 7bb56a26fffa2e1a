//! Records dispatches: hands out tensors, checks bindings against the catalogue, names layers.

use std::collections::HashMap;

use bytemuck::Pod;

use crate::error::{Error, ErrorKind, Result};
use crate::record::catalogue::{self, BindingAccess, KernelVariant};
use crate::record::executor::{Capabilities, Resident};
use crate::record::recording::{Binding, BufferId, Dispatch, Recording, Storage, VirtualBuffer};
use crate::tensor::{DType, Shape};

/// An activation within a recording: `shape` elements of `dtype` (f32 or f16), channels last, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    pub buffer: BufferId,
    pub shape: Shape,
    pub dtype: DType,
}

impl Tensor {
    /// The same elements under another shape.
    pub fn reshaped(self, shape: Shape) -> Result<Self> {
        if shape.elements() == self.shape.elements() {
            Ok(Self { shape, ..self })
        } else {
            Err(Error::new(ErrorKind::Internal, format!("a tensor of {} cannot be seen as {shape}", self.shape)))
        }
    }
}

/// Builds a [`Recording`]. Layers push and pop names, so that every dispatch carries its checkpoint path.
pub struct Recorder {
    recording: Recording,
    capabilities: Capabilities,
    activations: DType,
    path: Vec<String>,
    residents: HashMap<u32, BufferId>,
}

impl Recorder {
    /// Activations are `f16` or `f32`; f16 needs a device with `shader-f16`.
    pub fn new(capabilities: &Capabilities, activations: DType) -> Result<Self> {
        match activations {
            DType::F32 => {}
            DType::F16 if capabilities.f16 => {}
            other => {
                return Err(Error::new(
                    ErrorKind::DeviceLimit,
                    format!("{} cannot compute with {other} activations; choose f32", capabilities.name),
                ));
            }
        }
        Ok(Self {
            recording: Recording::default(),
            capabilities: capabilities.clone(),
            activations,
            path: Vec::new(),
            residents: HashMap::new(),
        })
    }

    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The element type of activations, f32 or f16.
    pub fn activations(&self) -> DType {
        self.activations
    }

    /// The shader feature that stands for [`Self::activations`].
    pub fn activations_feature(&self) -> &'static str {
        if self.activations == DType::F16 { "activations_f16" } else { "activations_f32" }
    }

    /// Runs `body` with `name` appended to the layer path.
    pub fn scoped<T>(&mut self, name: impl Into<String>, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.path.push(name.into());
        let result = body(self);
        self.path.pop();
        result
    }

    /// A new transient activation.
    pub fn tensor(&mut self, label: &'static str, shape: Shape) -> Result<Tensor> {
        self.tensor_of(label, shape, self.activations)
    }

    /// A new transient tensor of a given element type (f32 or f16).
    pub fn tensor_of(&mut self, label: &'static str, shape: Shape, dtype: DType) -> Result<Tensor> {
        let element = dtype
            .element_bytes()
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("activations cannot be {dtype}")))?;
        let buffer = self.scratch(label, (shape.elements() * element) as u64)?;
        Ok(Tensor { buffer, shape, dtype })
    }

    /// A new transient buffer without a shape, e.g. partial sums.
    pub fn scratch(&mut self, label: &'static str, bytes: u64) -> Result<BufferId> {
        let bytes = bytes.next_multiple_of(4).max(4);
        let limit = self.capabilities.max_binding_bytes.min(self.capabilities.max_buffer_bytes);
        if bytes > limit {
            return Err(Error::new(
                ErrorKind::DeviceLimit,
                format!(
                    "{}: {label} needs {bytes} bytes in one binding, {} allows {limit}; choose a smaller picture",
                    self.path.join("."),
                    self.capabilities.name
                ),
            ));
        }
        Ok(self.push(VirtualBuffer { label, bytes, storage: Storage::Transient }))
    }

    /// Brings a resident buffer into the recording; the same one twice gives the same id.
    pub fn resident(&mut self, label: &'static str, resident: &Resident) -> BufferId {
        if let Some(id) = self.residents.get(&resident.id().0) {
            return *id;
        }
        let storage = Storage::Resident(resident.id());
        let id = self.push(VirtualBuffer { label, bytes: resident.bytes(), storage });
        self.residents.insert(resident.id().0, id);
        self.recording.residents.push(resident.clone());
        id
    }

    /// A resident buffer seen as a tensor; it must hold at least the shape's elements.
    pub fn resident_tensor(
        &mut self,
        label: &'static str,
        resident: &Resident,
        shape: Shape,
        dtype: DType,
    ) -> Result<Tensor> {
        let needed = shape.elements() * dtype.element_bytes().unwrap_or(usize::MAX / shape.elements().max(1));
        if (needed as u64) > resident.bytes() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{label}: {shape} {dtype} does not fit {} bytes", resident.bytes()),
            ));
        }
        Ok(Tensor { buffer: self.resident(label, resident), shape, dtype })
    }

    fn push(&mut self, buffer: VirtualBuffer) -> BufferId {
        let id = BufferId(self.recording.buffers.len() as u32);
        self.recording.buffers.push(buffer);
        id
    }

    /// Workgroup counts for `groups` workgroups in a row: what passes a dimension's limit spills into the second one.
    /// The shader's index is `group.y · groups.x + group.x`, and its last row may run past the end.
    pub fn spread(&self, groups: usize) -> [u32; 3] {
        let most = self.capabilities.max_workgroups_per_dimension.max(1) as usize;
        let rows = groups.div_ceil(most).max(1);
        [groups.div_ceil(rows).max(1) as u32, rows as u32, 1]
    }

    /// Looks a variant up by kernel and features.
    pub fn variant(&self, kernel: &str, features: &[&str]) -> Result<&'static KernelVariant> {
        catalogue::find(kernel, features)
    }

    /// Appends a dispatch. `bindings` follow the shader's storage bindings; written buffers may not also be read.
    pub fn dispatch<P: Pod>(
        &mut self,
        variant: &'static KernelVariant,
        parameters: &P,
        bindings: &[Binding],
        workgroups: [u32; 3],
        operations: u64,
    ) -> Result<()> {
        self.check(variant, size_of::<P>(), bindings, workgroups)?;
        self.recording.dispatches.push(Dispatch {
            variant,
            bindings: bindings.to_vec(),
            parameters: bytemuck::bytes_of(parameters).to_vec(),
            workgroups,
            operations,
            label: self.path.join("."),
        });
        Ok(())
    }

    fn check(
        &self,
        variant: &KernelVariant,
        parameter_bytes: usize,
        bindings: &[Binding],
        workgroups: [u32; 3],
    ) -> Result<()> {
        let fault = |what: String| {
            let place = self.path.join(".");
            Err(Error::new(ErrorKind::Internal, format!("{place}: {}: {what}", variant.name)))
        };
        if bindings.len() != variant.bindings.len() {
            return fault(format!("{} bindings given, {} declared", bindings.len(), variant.bindings.len()));
        }
        if parameter_bytes != variant.parameter_bytes as usize {
            return fault(format!("{parameter_bytes} parameter bytes given, {} declared", variant.parameter_bytes));
        }
        let most = self.capabilities.max_workgroups_per_dimension;
        if workgroups.iter().any(|&count| count == 0 || count > most) {
            return fault(format!("{workgroups:?} workgroups, the device allows 1 to {most} in each dimension"));
        }
        for (info, binding) in variant.bindings.iter().zip(bindings) {
            let &Binding::Buffer(id) = binding else { continue };
            self.recording.buffer(id)?;
            let uses = bindings.iter().filter(|other| **other == Binding::Buffer(id)).count();
            if info.access == BindingAccess::ReadWrite && uses > 1 {
                return fault(format!("{} is written and bound {uses} times", info.name));
            }
        }
        Ok(())
    }

    pub fn finish(self) -> Recording {
        self.recording
    }
}
