//! What happens to latents between two calls of the network: guidance and the sampler's step.
//!
//! Decision: all latent-sized values of a sampler are registers of one f32 buffer, and a step is a small program in
//! another buffer, rewritten for every step; so one recording serves all steps and all samplers, and nothing is read
//! back. Rejected: a kernel per sampler, and coefficients in uniforms, which would tie the recording to one step.

use crate::error::{Error, ErrorKind, Result};
use crate::record::catalogue::parameters::{
    GuidanceParams, GuidanceRescaleParams, ModelInputParams, SamplerStepParams,
};
use crate::record::{Binding, Recorder, Resident, Tensor};
use crate::tensor::{Shape, padded_channels};

/// Registers that a program can address: sample, model output, noise, and 9 memories.
pub const MAX_REGISTERS: usize = 12;
/// Combinations that a program can hold.
pub const MAX_COMBINATIONS: usize = 16;
/// Bytes of a program's buffer.
pub const PROGRAM_BYTES: u64 = 16 * (1 + 4 * MAX_COMBINATIONS as u64);
/// Bytes of the buffer of guidance settings, see [`encode_guidance`].
pub const GUIDANCE_BYTES: u64 = 16;

/// The register file: f32 `[registers][image][position][channels]`, channels padded to a multiple of 4 like those of
/// activations. Register 0 is the sample, 1 the model's output, 2 the noise, the memories follow.
#[derive(Clone, Copy, Debug)]
pub struct Registers<'a> {
    pub state: &'a Resident,
    /// Registers in use, 3 to [`MAX_REGISTERS`].
    pub count: usize,
    /// Of one register: images, height, width, and channels without padding.
    pub shape: Shape,
}

impl Registers<'_> {
    /// Bytes that the state of `count` registers takes.
    pub fn bytes(count: usize, shape: Shape) -> u64 {
        (count * shape.rows() * padded_channels(shape.channels) * 4) as u64
    }

    fn vectors(&self) -> usize {
        self.shape.rows() * padded_channels(self.shape.channels) / 4
    }

    fn check(&self) -> Result<()> {
        let room = self.state.bytes() >= Self::bytes(self.count, self.shape);
        if (3..=MAX_REGISTERS).contains(&self.count) && self.shape.elements() > 0 && room {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Internal, format!("a register file of {self:?}")))
    }
}

/// One line of a step: `target = clamp(Σ factor · register, ±limit)`, read before it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub target: usize,
    pub terms: Vec<(usize, f32)>,
    pub limit: Option<f32>,
}

/// A step as the bytes of the program buffer: vec4s of f32, first (lines, input scale, next input scale, 0), then for
/// each line (target, limit or -1, 0, 0) and 12 factors. `input_scale` is what [`model_input`] multiplies the sample by
/// before this call of the network, `next_input_scale` what [`sampler_step`] does after the step for the next.
/// Fails with `Internal` where a register or the number of lines is out of range.
pub fn encode_program(lines: &[Line], input_scale: f32, next_input_scale: f32) -> Result<Vec<u8>> {
    if lines.len() > MAX_COMBINATIONS {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("a step of {} combinations, at most {MAX_COMBINATIONS}", lines.len()),
        ));
    }
    let mut program = vec![0.0f32; PROGRAM_BYTES as usize / 4];
    let (head, body) = program.split_at_mut(4);
    head.copy_from_slice(&[lines.len() as f32, input_scale, next_input_scale, 0.0]);
    for (line, code) in lines.iter().zip(body.chunks_exact_mut(16)) {
        let (head, factors) = code.split_at_mut(4);
        // Infinity does as no limit does, and NaN is no limit at all.
        let limit = line.limit.filter(|limit| *limit >= 0.0).unwrap_or(-1.0);
        head.copy_from_slice(&[line.target as f32, limit, 0.0, 0.0]);
        let registers = line.terms.iter().map(|term| term.0).chain([line.target]);
        if let Some(beyond) = registers.into_iter().find(|register| *register >= MAX_REGISTERS) {
            return Err(Error::new(ErrorKind::Internal, format!("register {beyond} of {MAX_REGISTERS}")));
        }
        for &(register, factor) in &line.terms {
            if let Some(sum) = factors.get_mut(register) {
                *sum += factor;
            }
        }
    }
    Ok(bytemuck::cast_slice(&program).to_vec())
}

/// Guidance settings as the bytes of their buffer: the guidance scale and the share of the rescaled result.
pub fn encode_guidance(scale: f32, rescale: f32) -> Vec<u8> {
    bytemuck::cast_slice(&[scale, rescale, 0.0, 0.0]).to_vec()
}

/// Whether the network ran with and without the prompt, and whether the result is brought back to its spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guidance {
    /// One batch entry per image.
    Off,
    /// All images without the prompt, then all with it.
    On,
    /// As `On`, with diffusers' `rescale_noise_cfg`.
    Rescaled,
}

/// Writes the register of the model's output: u + scale · (c - u), rescaled or not, or the network's output as it is.
/// `network` is `[B, H, W, C]` with at least the registers' padded channels; those beyond them (a learned variance) are
/// ignored. `settings` holds [`encode_guidance`]. Adds to the u32 `not_finite` how many values are infinite or NaN.
pub fn guidance(
    recorder: &mut Recorder,
    network: Tensor,
    registers: &Registers,
    guidance: Guidance,
    settings: &Resident,
    not_finite: &Resident,
) -> Result<()> {
    registers.check()?;
    let Shape { batch: images, channels, .. } = registers.shape;
    let guided = guidance != Guidance::Off;
    let expected = registers.shape.with_channels(network.shape.channels);
    let expected = Shape { batch: if guided { 2 * images } else { images }, ..expected };
    if network.shape != expected
        || !network.shape.channels.is_multiple_of(4)
        || network.shape.channels < padded_channels(channels)
        || network.dtype != recorder.activations()
        || settings.bytes() < GUIDANCE_BYTES
        || not_finite.bytes() < 4
    {
        return Err(Error::new(ErrorKind::Internal, format!("guidance of {network:?} for {}", registers.shape)));
    }
    let feature = recorder.activations_feature();
    let rescaled = guidance == Guidance::Rescaled;
    let parameters = GuidanceParams {
        images: images as u32,
        positions: registers.shape.positions() as u32,
        columns: (padded_channels(channels) / 4) as u32,
        channels: channels as u32,
        network_columns: (network.shape.channels / 4) as u32,
        guided: guided.into(),
        rescaled: rescaled.into(),
    };
    let operations = 8 * network.shape.elements() as u64;
    let settings = Binding::Buffer(recorder.resident("guidance settings", settings));
    let mut ratios = Binding::Absent;
    if rescaled {
        ratios = Binding::Buffer(recorder.scratch("guidance ratios", 4 * images as u64)?);
        let variant = recorder.variant("guidance_rescale", &[feature])?;
        let parameters: GuidanceRescaleParams = bytemuck::cast(parameters);
        let bindings = [Binding::Buffer(network.buffer), settings, ratios];
        recorder.dispatch(variant, &parameters, &bindings, [images as u32, 1, 1], operations)?;
    }
    let variant = recorder.variant("guidance", &[feature])?;
    let bindings = [
        Binding::Buffer(network.buffer),
        settings,
        ratios,
        Binding::Buffer(recorder.resident("registers", registers.state)),
        Binding::Buffer(recorder.resident("not finite", not_finite)),
    ];
    let workgroups = recorder.spread(registers.vectors().div_ceil(variant.workgroup_size as usize));
    recorder.dispatch(variant, &parameters, &bindings, workgroups, operations)
}

/// Runs the program (see [`encode_program`]) on the register file. With `next_input`, also writes the network's next
/// input there as [`model_input`] does: `copies` times the sample, in the activations' type.
pub fn sampler_step(
    recorder: &mut Recorder,
    registers: &Registers,
    program: &Resident,
    next_input: Option<(&Resident, usize)>,
) -> Result<()> {
    registers.check()?;
    check_program(program)?;
    let mut target = Binding::Absent;
    let mut copies = 0;
    if let Some((resident, count)) = next_input {
        let tensor =
            recorder.resident_tensor("next input", resident, input_shape(registers, count), recorder.activations())?;
        target = Binding::Buffer(tensor.buffer);
        copies = count;
    }
    let variant = recorder.variant("sampler_step", &[recorder.activations_feature()])?;
    let parameters = SamplerStepParams {
        vectors: registers.vectors() as u32,
        registers: registers.count as u32,
        copies: copies as u32,
    };
    let bindings = [
        Binding::Buffer(recorder.resident("program", program)),
        Binding::Buffer(recorder.resident("registers", registers.state)),
        target,
    ];
    let workgroups = recorder.spread(registers.vectors().div_ceil(variant.workgroup_size as usize));
    let operations = (registers.vectors() * registers.count * 32) as u64;
    recorder.dispatch(variant, &parameters, &bindings, workgroups, operations)
}

/// The network's input: the sample register times the program's input scale, in the activations' type, all images once
/// per copy (2 with guidance): `[copies · images, H, W, padded channels]`.
pub fn model_input(
    recorder: &mut Recorder,
    registers: &Registers,
    program: &Resident,
    copies: usize,
) -> Result<Tensor> {
    registers.check()?;
    check_program(program)?;
    let y = recorder.tensor("model input", input_shape(registers, copies.max(1)))?;
    let variant = recorder.variant("model_input", &[recorder.activations_feature()])?;
    let parameters = ModelInputParams { vectors: registers.vectors() as u32, copies: copies.max(1) as u32 };
    let bindings = [
        Binding::Buffer(recorder.resident("program", program)),
        Binding::Buffer(recorder.resident("registers", registers.state)),
        Binding::Buffer(y.buffer),
    ];
    let workgroups = recorder.spread(registers.vectors().div_ceil(variant.workgroup_size as usize));
    recorder.dispatch(variant, &parameters, &bindings, workgroups, 8 * registers.vectors() as u64)?;
    Ok(y)
}

fn input_shape(registers: &Registers, copies: usize) -> Shape {
    let Shape { batch, channels, .. } = registers.shape;
    Shape { batch: batch * copies, ..registers.shape.with_channels(padded_channels(channels)) }
}

fn check_program(program: &Resident) -> Result<()> {
    if program.bytes() >= PROGRAM_BYTES {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Internal, format!("a step's program of {} bytes", program.bytes())))
}
