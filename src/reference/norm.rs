//! Twins of `shaders/group_norm.wgsl` and `shaders/layer_norm.wgsl`.

use crate::error::Result;
use crate::record::catalogue::parameters::{GroupNormParams, LayerNormParams};
use crate::reference::Invocation;
use crate::reference::elementwise::activate;

/// Channels of both inputs, one after the other, as one tensor `[row][channel]`.
fn concatenated(invocation: &Invocation, params: &GroupNormParams) -> Result<(Vec<f32>, usize)> {
    let x = invocation.elements("x")?;
    let second = invocation.elements("second")?;
    let (first, extra) = (params.columns as usize * 4, params.second_columns as usize * 4);
    let rows = (invocation.workgroups()[2] * params.positions) as usize;
    let mut all = Vec::with_capacity(rows * (first + extra));
    for row in 0..rows {
        all.extend_from_slice(&x[row * first..][..first]);
        if extra > 0 {
            all.extend_from_slice(&second[row * extra..][..extra]);
        }
    }
    Ok((all, first + extra))
}

/// Mean and sum of squared deviations.
fn moments(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    (mean, values.map(|value| (f64::from(value) - mean).powi(2)).sum())
}

pub fn group_norm(invocation: &mut Invocation) -> Result<()> {
    let params: GroupNormParams = invocation.parameters()?;
    let (all, channels) = concatenated(invocation, &params)?;
    let [_, _, batch] = invocation.workgroups();
    let group_channels = params.group_channels as usize;
    let groups = params.groups as usize;
    let (positions, chunk) = (params.positions as usize, params.moment_positions as usize);
    let group_values = |entry: usize, group: usize, first: usize, end: usize| {
        let rows = entry * positions + first..entry * positions + end;
        rows.flat_map(move |row| (0..group_channels).map(move |c| row * channels + group * group_channels + c))
    };
    if invocation.has("statistics") {
        let mut result = Vec::new();
        for entry in 0..batch as usize {
            for first in (0..params.moment_chunks as usize).map(|number| number * chunk) {
                let end = (first + chunk).min(positions);
                for group in 0..groups {
                    let (mean, squares) = moments(group_values(entry, group, first, end).map(|i| all[i]));
                    result.extend([mean as f32, squares as f32]);
                }
            }
        }
        return invocation.store_floats("moments", &result);
    }

    let scale = invocation.floats("scale")?;
    let shift = invocation.floats("shift")?;
    let parts = if invocation.has("apply") { invocation.floats("moments")? } else { Vec::new() };
    let mut y = vec![0.0; all.len()];
    for entry in 0..batch as usize {
        for group in 0..groups {
            let count = (positions * group_channels) as f64;
            let (mean, squares) = if invocation.has("apply") {
                let chunks = (0..params.moment_chunks as usize).map(|number| {
                    let at = 2 * ((entry * params.moment_chunks as usize + number) * groups + group);
                    let rows = (positions - number * chunk).min(chunk);
                    ((rows * group_channels) as f64, f64::from(parts[at]), f64::from(parts[at + 1]))
                });
                let mean = chunks.clone().map(|(count, mean, _)| count * mean).sum::<f64>() / count;
                let squares = chunks.map(|(count, part, squares)| squares + count * (part - mean).powi(2)).sum::<f64>();
                (mean, squares)
            } else {
                moments(group_values(entry, group, 0, positions).map(|i| all[i]))
            };
            let factor = 1.0 / (squares / count + f64::from(params.epsilon)).sqrt();
            for i in group_values(entry, group, 0, positions) {
                let channel = i % channels;
                let value = (f64::from(all[i]) - mean) * factor * f64::from(scale[channel]) + f64::from(shift[channel]);
                y[i] = activate(params.activation, value as f32);
            }
        }
    }
    invocation.store_elements("y", &y)
}

pub fn layer_norm(invocation: &mut Invocation) -> Result<()> {
    let params: LayerNormParams = invocation.parameters()?;
    let x = invocation.elements("x")?;
    let scale = invocation.floats("scale")?;
    let shift = invocation.floats("shift")?;
    let channels = params.columns as usize * 4;
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks_exact(channels).take(params.rows as usize) {
        let (mean, squares) = moments(row.iter().copied());
        let factor = 1.0 / (squares / channels as f64 + f64::from(params.epsilon)).sqrt();
        y.extend(row.iter().zip(&scale).zip(&shift).map(|((x, scale), shift)| {
            ((f64::from(*x) - mean) * factor * f64::from(*scale) + f64::from(*shift)) as f32
        }));
    }
    invocation.store_elements("y", &y)
}
