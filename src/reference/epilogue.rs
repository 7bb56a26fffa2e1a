//! Twin of `shaders/shared/epilogue.wgsl`.

use crate::error::Result;
use crate::record::catalogue::parameters::GemmParams;
use crate::reference::Invocation;
use crate::reference::elementwise::activate;

pub struct Epilogue {
    params: GemmParams,
    bias: Vec<f32>,
    batch_bias: Vec<f32>,
    residual: Vec<f32>,
    y: Vec<f32>,
}

impl Epilogue {
    pub fn new(invocation: &Invocation, params: GemmParams) -> Result<Self> {
        Ok(Self {
            params,
            bias: invocation.floats("bias")?,
            batch_bias: invocation.elements("batch_bias")?,
            residual: invocation.elements("residual")?,
            y: invocation.elements("y")?,
        })
    }

    /// `sums` holds all columns of a row.
    pub fn finish(&mut self, row: usize, sums: &[f32]) {
        let params = self.params;
        let batch_bias = row / params.batch_rows as usize * params.batch_bias_stride as usize * 4
            + params.batch_bias_first as usize * 4;
        let biased: Vec<f32> = sums
            .iter()
            .enumerate()
            .map(|(column, &sum)| {
                let bias = if params.has_bias != 0 { self.bias[column] } else { 0.0 };
                sum + bias + if params.has_batch_bias != 0 { self.batch_bias[batch_bias + column] } else { 0.0 }
            })
            .collect();
        let activated: Vec<f32> = if params.gated != 0 {
            let pair = |pair: &[f32]| [0, 1, 2, 3].map(|i| pair[i] * activate(params.activation, pair[4 + i]));
            biased.chunks_exact(8).flat_map(pair).collect()
        } else {
            biased.iter().map(|&value| activate(params.activation, value)).collect()
        };
        let start = row * activated.len();
        for (i, value) in activated.iter().enumerate() {
            let residual = if params.has_residual != 0 { self.residual[start + i] } else { 0.0 };
            self.y[start + i] = params.scale * (value + residual);
        }
    }

    pub fn store(&self, invocation: &mut Invocation) -> Result<()> {
        invocation.store_elements("y", &self.y)
    }
}
