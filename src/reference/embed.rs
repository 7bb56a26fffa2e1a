//! Twins of `shaders/token_embedding.wgsl`, `timestep_embedding.wgsl` and `gather_rows.wgsl`.

use half::f16;

use crate::error::Result;
use crate::record::catalogue::parameters::{GatherRowsParams, TimestepEmbeddingParams, TokenEmbeddingParams};
use crate::reference::Invocation;

/// Element `i` of a matrix of which only the format number and the first word of the scales are known.
fn weight(words: &[u32], format: u32, scales: u32, i: usize) -> f32 {
    let half = |i: usize| f16::from_bits((words[i / 2] >> (16 * (i % 2))) as u16).to_f32();
    match format {
        0 => f32::from_bits(words[i]),
        1 => half(i),
        3 => {
            let nibble = words[i / 8] >> (4 * (i % 8)) & 15;
            (nibble as f32 - 8.0) * half(2 * scales as usize + i / 32)
        }
        _ => f32::from((words[i / 4] >> (8 * (i % 4))) as i8) * half(2 * scales as usize + i / 32),
    }
}

pub fn token_embedding(invocation: &mut Invocation) -> Result<()> {
    let params: TokenEmbeddingParams = invocation.parameters()?;
    let tokens = invocation.words("tokens")?;
    let table = invocation.words("table")?;
    let positions = invocation.words("positions")?;
    let mut y = invocation.elements("y")?;
    let channels = params.columns as usize * 4;
    for (row, (&token, y)) in tokens.iter().zip(y.chunks_exact_mut(channels)).take(params.rows as usize).enumerate() {
        let here = (params.first_row..params.first_row + params.chunk_rows).contains(&token);
        let nowhere = token >= params.table_rows && params.first_row == 0;
        if !here && !nowhere {
            continue;
        }
        for (channel, y) in y.iter_mut().enumerate() {
            let at = row % params.sequence as usize * channels + channel;
            *y = weight(&positions, params.position_format, params.position_scales, at);
            if here {
                let at = (token - params.first_row) as usize * channels + channel;
                *y += weight(&table, params.table_format, params.table_scales, at);
            }
        }
    }
    invocation.store_elements("y", &y)
}

pub fn timestep_embedding(invocation: &mut Invocation) -> Result<()> {
    let params: TimestepEmbeddingParams = invocation.parameters()?;
    let timesteps = invocation.floats("timesteps")?;
    let half = params.half as usize;
    let mut y = Vec::new();
    for &timestep in timesteps.iter().take(params.batch as usize) {
        for channel in 0..params.columns as usize * 4 {
            let exponent = -(10000f64.ln()) * (channel % half) as f64
                / (f64::from(params.half) - f64::from(params.frequency_shift));
            let phase = f64::from(timestep) * exponent.exp();
            let cosine = (channel < half) == (params.cosine_first != 0);
            y.push(match channel {
                beyond if beyond >= 2 * half => 0.0,
                _ if cosine => phase.cos() as f32,
                _ => phase.sin() as f32,
            });
        }
    }
    invocation.store_elements("y", &y)
}

pub fn gather_rows(invocation: &mut Invocation) -> Result<()> {
    let params: GatherRowsParams = invocation.parameters()?;
    let x = invocation.elements("x")?;
    let numbers = invocation.words("numbers")?;
    let channels = params.columns as usize * 4;
    let mut y = Vec::new();
    for (entry, &number) in numbers.iter().enumerate().take(params.batch as usize) {
        let row = entry * params.rows as usize + number.min(params.rows - 1) as usize;
        y.extend_from_slice(&x[row * channels..][..channels]);
    }
    invocation.store_elements("y", &y)
}
