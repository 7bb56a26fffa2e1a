//! Adapter and device: what is asked for, what is read from them, and how their failures reach us.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::record::Capabilities;

/// Which adapter to open.
#[derive(Clone, Debug, Default)]
pub struct AdapterChoice {
    /// Part of the adapter's name, case ignored; natively only. None: the system's preferred one.
    pub name: Option<String>,
    /// Use at most this much of a binding, to run as on a smaller device.
    pub most_binding_bytes: Option<u64>,
    /// Choose the kernels of a real GPU even where the adapter is a program on the CPU: slow there, but the same work.
    pub as_hardware: bool,
}

pub(super) struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub faults: Faults,
    pub capabilities: Capabilities,
}

/// The first fault that the device reported outside any call: lost, out of memory, or invalid use.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Error>>>);

impl Faults {
    fn report(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// A lost device stays lost; any other fault is told once.
    pub fn check(&self) -> Result<()> {
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*fault {
            None => Ok(()),
            Some(error) if error.kind == ErrorKind::DeviceLost => Err(error.clone()),
            Some(_) => Err(fault.take().unwrap_or_else(|| Error::new(ErrorKind::Internal, "no fault"))),
        }
    }
}

pub(super) async fn open(choice: &AdapterChoice) -> Result<Device> {
    let adapter = adapter(choice).await?;
    let info = adapter.get_info();
    let wanted = wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP;
    let features = adapter.features() & wanted;
    let limits = adapter.limits();
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("Darkroom"),
        required_features: features,
        // All that the adapter has: sizes are read from it, never assumed.
        required_limits: limits.clone(),
        ..Default::default()
    };
    let (device, queue) = adapter
        .request_device(&descriptor)
        .await
        .map_err(|error| Error::new(ErrorKind::NoGpu, format!("{} refused to open: {error}", adapter_name(&info))))?;
    let faults = Faults::default();
    watch(&device, &faults);
    let capabilities = Capabilities {
        name: adapter_name(&info),
        f16: features.contains(wgpu::Features::SHADER_F16),
        subgroups: features.contains(wgpu::Features::SUBGROUP),
        software: is_software(&info) && !choice.as_hardware,
        max_buffer_bytes: limits.max_buffer_size,
        // Bindings are cut to 32-bit sizes, so that no kernel needs wider indices.
        max_binding_bytes: limits
            .max_storage_buffer_binding_size
            .min(u64::from(u32::MAX) & !255)
            .min(choice.most_binding_bytes.unwrap_or(u64::MAX)),
        max_workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
        max_workgroup_storage_bytes: limits.max_compute_workgroup_storage_size,
        max_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
    };
    Ok(Device { device, queue, faults, capabilities })
}

fn watch(device: &wgpu::Device, faults: &Faults) {
    let lost = faults.clone();
    device.set_device_lost_callback(move |reason, message| {
        if reason != wgpu::DeviceLostReason::Destroyed {
            let message = format!("The GPU was taken away ({message}); the next picture starts it again");
            lost.report(Error::new(ErrorKind::DeviceLost, message));
        }
    });
    let uncaptured = faults.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        uncaptured.report(match error {
            wgpu::Error::OutOfMemory { .. } => Error::new(
                ErrorKind::OutOfMemory,
                "The GPU has not enough free memory; choose a smaller picture or a smaller quantisation",
            ),
            other => Error::new(ErrorKind::Internal, format!("The GPU refused a command: {other}")),
        });
    }));
}

#[cfg(target_arch = "wasm32")]
async fn adapter(_choice: &AdapterChoice) -> Result<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::BROWSER_WEBGPU;
    preferred(&wgpu::Instance::new(descriptor)).await
}

#[cfg(not(target_arch = "wasm32"))]
async fn adapter(choice: &AdapterChoice) -> Result<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let Some(name) = &choice.name else {
        return preferred(&instance).await;
    };
    let adapters = instance.enumerate_adapters(wgpu::Backends::VULKAN).await;
    let names: Vec<String> = adapters.iter().map(|adapter| adapter_name(&adapter.get_info())).collect();
    let found = adapters
        .into_iter()
        .find(|adapter| adapter_name(&adapter.get_info()).to_lowercase().contains(&name.to_lowercase()));
    found.ok_or_else(|| {
        Error::new(ErrorKind::NoGpu, format!("No adapter is named like \"{name}\"; there are: {}", names.join(", ")))
    })
}

async fn preferred(instance: &wgpu::Instance) -> Result<wgpu::Adapter> {
    let options =
        wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
    instance
        .request_adapter(&options)
        .await
        .map_err(|error| Error::new(ErrorKind::NoGpu, format!("No GPU is available to this program ({error})")))
}

fn adapter_name(info: &wgpu::AdapterInfo) -> String {
    let parts = [info.name.as_str(), info.driver.as_str(), info.driver_info.as_str()];
    let known: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if known.is_empty() { "GPU".into() } else { known.join(" · ") }
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    let name = adapter_name(info).to_lowercase();
    info.device_type == wgpu::DeviceType::Cpu || ["swiftshader", "llvmpipe"].iter().any(|word| name.contains(word))
}
