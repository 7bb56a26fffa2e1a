//! Twins of `shaders/to_rgba.wgsl`, `from_rgba.wgsl` and `preview.wgsl`.

use crate::error::Result;
use crate::record::catalogue::parameters::{FromRgbaParams, PreviewParams, ToRgbaParams};
use crate::reference::Invocation;

/// `shared/pixel.wgsl`
fn pack_pixel(colour: [f32; 3]) -> u32 {
    let [red, green, blue] = colour.map(|x| ((x * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u32);
    red | green << 8 | blue << 16 | 0xff00_0000
}

pub fn to_rgba(invocation: &mut Invocation) -> Result<()> {
    let params: ToRgbaParams = invocation.parameters()?;
    let x = invocation.elements("x")?;
    let pixels = x.chunks_exact(4).take(params.pixels as usize);
    let pack = |pixel: &[f32]| {
        let packed = pack_pixel([pixel[0], pixel[1], pixel[2]]);
        if pixel[..3].iter().all(|value| value.is_finite()) { packed } else { packed & 0x00ff_ffff }
    };
    let rgba: Vec<u32> = pixels.map(pack).collect();
    invocation.store_words("rgba", &rgba)
}

pub fn from_rgba(invocation: &mut Invocation) -> Result<()> {
    let params: FromRgbaParams = invocation.parameters()?;
    let rgba = invocation.words("rgba")?;
    let pixels = rgba.iter().take(params.pixels as usize);
    let y: Vec<f32> = pixels
        .flat_map(|pixel| {
            let [red, green, blue, _] = pixel.to_le_bytes().map(|byte| f32::from(byte) / 127.5 - 1.0);
            [red, green, blue, 0.0]
        })
        .collect();
    invocation.store_elements("y", &y)
}

pub fn preview(invocation: &mut Invocation) -> Result<()> {
    let params: PreviewParams = invocation.parameters()?;
    let state = invocation.floats("state")?;
    let factors = invocation.floats("factors")?;
    let channels = params.channels as usize;
    let positions = state.chunks_exact(params.columns as usize * 4).take(params.pixels as usize);
    let rgba: Vec<u32> = positions
        .map(|latent| {
            pack_pixel([0, 1, 2].map(|colour| {
                let (offset, factors) =
                    factors[colour * (channels + 1)..][..=channels].split_last().unwrap_or((&0.0, &[]));
                offset + latent.iter().zip(factors).map(|(x, factor)| x * factor).sum::<f32>()
            }))
        })
        .collect();
    invocation.store_words("rgba", &rgba)
}
