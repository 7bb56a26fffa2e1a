//! A recording made ready for the device: slots, uniform arena, bind groups.

use std::ops::Range;
use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{ALIGNMENT, Gpu, OwnedBuffer};
use crate::record::{Binding, BindingAccess, Dispatch, KernelVariant, MemoryPlan, Recording, Storage};

/// A compiled variant with its bind group layout.
pub(super) struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

impl Pipeline {
    pub fn new(device: &wgpu::Device, variant: &'static KernelVariant) -> Self {
        let entry = |binding: usize, ty: wgpu::BufferBindingType| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform)];
        for (index, info) in variant.bindings.iter().enumerate() {
            let read_only = info.access == BindingAccess::Read;
            entries.push(entry(index + 1, wgpu::BufferBindingType::Storage { read_only }));
        }
        let label = Some(variant.name);
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(variant.wgsl.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(variant.entry),
            // Every kernel writes its workgroup memory before it reads it.
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        Self { pipeline, layout }
    }
}

struct Step {
    pipeline: Rc<Pipeline>,
    bind_group: wgpu::BindGroup,
    workgroups: [u32; 3],
    operations: u64,
}

/// A recording that can be replayed.
pub struct GpuProgram {
    steps: Vec<Step>,
    plan: MemoryPlan,
    /// Kept alive for the bind groups.
    _slots: Vec<Rc<OwnedBuffer>>,
    _residents: Vec<crate::record::Resident>,
    _uniforms: Option<OwnedBuffer>,
}

impl GpuProgram {
    pub(super) fn new(gpu: &Gpu, recording: Recording) -> Result<Self> {
        let plan = MemoryPlan::new(&recording)?;
        let slots = gpu.claim_slots(&plan);
        let uniforms = uniform_arena(gpu, &recording.dispatches);
        let mut steps = Vec::with_capacity(recording.dispatches.len());
        let mut offset = 0;
        for dispatch in &recording.dispatches {
            let pipeline = gpu.pipeline(dispatch.variant)?;
            let arena = uniforms.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "no uniform arena"))?;
            let bind_group = bind(gpu, &recording, &plan, &slots, dispatch, &pipeline, (arena, offset))?;
            offset += uniform_stride(dispatch);
            steps.push(Step {
                pipeline,
                bind_group,
                workgroups: dispatch.workgroups,
                operations: dispatch.operations.max(100_000),
            });
        }
        Ok(Self { steps, plan, _slots: slots, _residents: recording.residents, _uniforms: uniforms })
    }

    /// The plan that the program runs by.
    pub fn plan(&self) -> &MemoryPlan {
        &self.plan
    }

    /// Number of dispatches.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn operations(&self) -> u64 {
        self.steps.iter().map(|step| step.operations).sum()
    }

    /// The end of a submission that starts at `first` and holds about `budget` operations, and what it holds.
    pub(super) fn cut(&self, first: usize, budget: u64) -> (usize, u64) {
        let mut operations = 0;
        let mut end = first;
        while let Some(step) = self.steps.get(end) {
            if end > first && operations + step.operations > budget {
                break;
            }
            operations += step.operations;
            end += 1;
        }
        (end, operations)
    }

    pub(super) fn encode(&self, encoder: &mut wgpu::CommandEncoder, range: Range<usize>) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for step in self.steps.get(range).unwrap_or_default() {
            pass.set_pipeline(&step.pipeline.pipeline);
            pass.set_bind_group(0, &step.bind_group, &[]);
            let [x, y, z] = step.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
    }
}

fn uniform_stride(dispatch: &Dispatch) -> u64 {
    (dispatch.parameters.len() as u64).next_multiple_of(ALIGNMENT)
}

fn uniform_arena(gpu: &Gpu, dispatches: &[Dispatch]) -> Option<OwnedBuffer> {
    let bytes: u64 = dispatches.iter().map(uniform_stride).sum();
    if bytes == 0 {
        return None;
    }
    let mut data = Vec::with_capacity(bytes as usize);
    for dispatch in dispatches {
        data.extend_from_slice(&dispatch.parameters);
        data.resize(data.len().next_multiple_of(ALIGNMENT as usize), 0);
    }
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("parameters"),
        size: bytes,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&buffer, 0, &data);
    Some(OwnedBuffer { buffer, bytes })
}

fn bind(
    gpu: &Gpu,
    recording: &Recording,
    plan: &MemoryPlan,
    slots: &[Rc<OwnedBuffer>],
    dispatch: &Dispatch,
    pipeline: &Pipeline,
    (arena, offset): (&OwnedBuffer, u64),
) -> Result<wgpu::BindGroup> {
    let residents = gpu.residents.borrow();
    let size = |bytes: u64| std::num::NonZeroU64::new(bytes);
    let lost = |label: &str| Error::new(ErrorKind::Internal, format!("{}: {label} is not placed", dispatch.label));
    let mut entries = Vec::with_capacity(dispatch.bindings.len() + 1);
    let uniform = wgpu::BufferBinding { buffer: &arena.buffer, offset, size: size(dispatch.parameters.len() as u64) };
    entries.push(wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(uniform) });
    for (index, (binding, info)) in dispatch.bindings.iter().zip(dispatch.variant.bindings).enumerate() {
        let resource = match *binding {
            Binding::Absent if info.access == BindingAccess::Read => {
                wgpu::BufferBinding { buffer: &gpu.absent_read.buffer, offset: 0, size: size(ALIGNMENT) }
            }
            Binding::Absent => wgpu::BufferBinding {
                buffer: &gpu.absent_write.buffer,
                offset: index as u64 * ALIGNMENT,
                size: size(ALIGNMENT),
            },
            Binding::Buffer(id) => {
                let virtual_buffer = recording.buffer(id)?;
                let owned = match virtual_buffer.storage {
                    Storage::Resident(resident) => residents.get(&resident),
                    Storage::Transient => plan
                        .placement
                        .get(id.0 as usize)
                        .copied()
                        .flatten()
                        .and_then(|slot| slots.get(slot))
                        .map(|slot| &**slot),
                };
                let owned = owned.ok_or_else(|| lost(virtual_buffer.label))?;
                let bytes = virtual_buffer.bytes.next_multiple_of(16).min(owned.bytes);
                if bytes > gpu.capabilities.max_binding_bytes {
                    return Err(Error::new(
                        ErrorKind::DeviceLimit,
                        format!(
                            "{}: {} holds {bytes} bytes, a binding on {} at most {}; choose a smaller picture or a \
                             smaller quantisation",
                            dispatch.label,
                            virtual_buffer.label,
                            gpu.capabilities.name,
                            gpu.capabilities.max_binding_bytes
                        ),
                    ));
                }
                wgpu::BufferBinding { buffer: &owned.buffer, offset: 0, size: size(bytes) }
            }
        };
        entries.push(wgpu::BindGroupEntry {
            binding: index as u32 + 1,
            resource: wgpu::BindingResource::Buffer(resource),
        });
    }
    Ok(gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(dispatch.variant.name),
        layout: &pipeline.layout,
        entries: &entries,
    }))
}
