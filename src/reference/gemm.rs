//! Twin of `shaders/gemm.wgsl`.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::quant::MatrixLayout;
use crate::record::catalogue::parameters::GemmParams;
use crate::reference::Invocation;
use crate::reference::epilogue::Epilogue;
use crate::tensor::DType;

/// y = epilogue(Σ_k input[row, k] · weights[column, k]), or the sums of each split of K.
pub fn gemm(invocation: &mut Invocation) -> Result<()> {
    let params: GemmParams = invocation.parameters()?;
    let weights = weights(invocation, &params)?;
    let input = Input {
        taps: invocation.has("input_taps"),
        x: invocation.elements("x")?,
        second: if invocation.has("input_taps") { invocation.elements("second")? } else { Vec::new() },
        params,
    };
    let rows = params.first_row as usize..params.end_row as usize;
    let columns = params.columns as usize * 4;
    let depth = params.depth as usize * 4;
    let stride = params.weights_stride as usize * 4;
    let sums = |row: &[f32], depths: Range<usize>| -> Vec<f32> {
        (0..columns).map(|column| dot(&row[depths.clone()], &weights[column * stride..][depths.clone()])).collect()
    };

    if invocation.has("partials") {
        let mut partial_sums = Vec::new();
        for split in 0..params.splits as usize {
            let split_depth = params.split_depth as usize * 4;
            let depths = split * split_depth..((split + 1) * split_depth).min(depth);
            for row in rows.clone() {
                partial_sums.extend(sums(&input.row(row), depths.clone()));
            }
        }
        return invocation.store_floats("partial_sums", &partial_sums);
    }
    let mut epilogue = Epilogue::new(invocation, params)?;
    for row in rows {
        epilogue.finish(row, &sums(&input.row(row), 0..depth));
    }
    epilogue.store(invocation)
}

/// Decoded weights; rounded to the elements of the workgroup tile where there is one.
fn weights(invocation: &Invocation, params: &GemmParams) -> Result<Vec<f32>> {
    let dtype = [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0]
        .into_iter()
        .find(|dtype| invocation.has(&format!("weights_{dtype}")))
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a GEMM without a weight type"))?;
    let layout = MatrixLayout::new(dtype, params.columns as usize * 4, params.weights_stride as usize * 4)?;
    let mut weights = layout.unpack_rows(&invocation.bytes("weights")?, 0, layout.rows)?;
    if invocation.has("activations_f16") && !invocation.has("tile_registers") {
        for weight in &mut weights {
            *weight = half::f16::from_f32(*weight).to_f32();
        }
    }
    Ok(weights)
}

struct Input {
    taps: bool,
    x: Vec<f32>,
    second: Vec<f32>,
    params: GemmParams,
}

impl Input {
    /// All K values of a row of the product.
    fn row(&self, row: usize) -> Vec<f32> {
        if !self.taps {
            let depth = self.params.depth as usize * 4;
            return self.x[row * depth..(row + 1) * depth].to_vec();
        }
        let [height, width, resized_height, resized_width] =
            [self.params.height, self.params.width, self.params.resized_height, self.params.resized_width]
                .map(|size| size as usize);
        let [kernel, stride] = [self.params.kernel, self.params.stride].map(|size| size as usize);
        let [channels, second_channels] = [self.params.channels, self.params.second_channels].map(|c| c as usize * 4);
        let positions = self.params.batch_rows as usize;
        let (batch, position) = (row / positions, row % positions);
        let output_width = self.params.output_width as usize;
        let (top, left) = (position / output_width * stride, position % output_width * stride);
        let mut values = Vec::with_capacity(self.params.depth as usize * 4);
        for down in 0..kernel {
            for right in 0..kernel {
                let y = (top + down).checked_sub(self.params.pad_top as usize).filter(|y| *y < resized_height);
                let x = (left + right).checked_sub(self.params.pad_left as usize).filter(|x| *x < resized_width);
                let (Some(y), Some(x)) = (y, x) else {
                    values.resize(values.len() + channels + second_channels, 0.0);
                    continue;
                };
                let (y, x) = (y * height / resized_height, x * width / resized_width);
                let position = (batch * height + y) * width + x;
                values.extend(&self.x[position * channels..][..channels]);
                values.extend(&self.second[position * second_channels..][..second_channels]);
            }
        }
        values
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}
