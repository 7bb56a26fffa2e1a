//! Between tensors and the canvas's packed pixels (red in the lowest byte, alpha in the highest).

use crate::error::{Error, ErrorKind, Result};
use crate::record::catalogue::parameters::{FromRgbaParams, PreviewParams, ToRgbaParams};
use crate::record::{Binding, Recorder, Resident, Tensor};
use crate::tensor::{Shape, padded_channels};

/// round(clamp(x / 2 + 1/2, 0, 1) · 255), halves to even, of the first three of `x`'s 4 channels, opaque, into `pixels`
/// (one u32 per position).
pub fn to_rgba(recorder: &mut Recorder, x: Tensor, pixels: &Resident) -> Result<()> {
    let count = check(x.shape, pixels)?;
    if x.shape.channels != 4 || x.dtype != recorder.activations() {
        return Err(Error::new(ErrorKind::Internal, format!("{x:?} as a picture")));
    }
    let variant = recorder.variant("to_rgba", &[recorder.activations_feature()])?;
    let bindings = [x.buffer, recorder.resident("pixels", pixels)].map(Binding::Buffer);
    let workgroups = recorder.spread(count.div_ceil(variant.workgroup_size as usize));
    recorder.dispatch(variant, &ToRgbaParams { pixels: count as u32 }, &bindings, workgroups, 16 * count as u64)
}

/// byte / 127.5 - 1 of red, green and blue of `pixels` (one u32 per position): `[batch, height, width, 4]`, the fourth
/// channel zero.
pub fn from_rgba(
    recorder: &mut Recorder,
    pixels: &Resident,
    batch: usize,
    height: usize,
    width: usize,
) -> Result<Tensor> {
    let shape = Shape::image(batch, height, width, 4);
    let count = check(shape, pixels)?;
    let y = recorder.tensor("picture", shape)?;
    let variant = recorder.variant("from_rgba", &[recorder.activations_feature()])?;
    let bindings = [recorder.resident("pixels", pixels), y.buffer].map(Binding::Buffer);
    let workgroups = recorder.spread(count.div_ceil(variant.workgroup_size as usize));
    recorder.dispatch(variant, &FromRgbaParams { pixels: count as u32 }, &bindings, workgroups, 8 * count as u64)?;
    Ok(y)
}

/// A rough picture of the sample, the first register of `state` (see [`crate::ops::sampling::Registers`]): red, green
/// and blue of ±1 as linear functions of `latents.channels` channels. `factors` holds 3 rows of channels + 1 f32, the
/// last the offset. One u32 per position goes to `pixels`.
pub fn preview(
    recorder: &mut Recorder,
    state: &Resident,
    latents: Shape,
    factors: &Resident,
    pixels: &Resident,
) -> Result<()> {
    let count = check(latents, pixels)?;
    let columns = padded_channels(latents.channels) / 4;
    if state.bytes() < (count * columns * 16) as u64 || factors.bytes() < 12 * (latents.channels as u64 + 1) {
        return Err(Error::new(ErrorKind::Internal, format!("preview of {latents} in {state:?} by {factors:?}")));
    }
    let variant = recorder.variant("preview", &[])?;
    let parameters = PreviewParams { pixels: count as u32, channels: latents.channels as u32, columns: columns as u32 };
    let bindings = [("registers", state), ("preview factors", factors), ("pixels", pixels)]
        .map(|(label, resident)| Binding::Buffer(recorder.resident(label, resident)));
    let workgroups = recorder.spread(count.div_ceil(variant.workgroup_size as usize));
    recorder.dispatch(variant, &parameters, &bindings, workgroups, (count * latents.channels * 6) as u64)
}

/// The number of pixels, for which `pixels` must have room.
fn check(shape: Shape, pixels: &Resident) -> Result<usize> {
    if shape.rows() == 0 || pixels.bytes() < 4 * shape.rows() as u64 {
        return Err(Error::new(ErrorKind::Internal, format!("pixels of {shape} in {pixels:?}")));
    }
    Ok(shape.rows())
}
