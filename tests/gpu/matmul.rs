//! `gemm` over rows, and `gemm_reduce`, against their twins: every variant, ragged shapes, every epilogue.

use darkroom::error::Result;
use darkroom::ops::Matrix;
use darkroom::ops::elementwise::Activation;
use darkroom::ops::gemm::{Choice, Tile};
use darkroom::ops::matmul::{Epilogue, linear, linear_with};
use darkroom::quant::MatrixLayout;
use darkroom::record::{Recorder, Resident, Tensor};
use darkroom::tensor::{DType, Shape};
use libtest_mimic::{Failed, Trial};

use crate::harness::{Input, activations, agree, tensor, tolerance, values};

pub const WEIGHTS: [DType; 4] = [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0];

/// Every tile that exists for a weight type, whole and with K split.
pub fn choices(weights: DType) -> Vec<Choice> {
    let mut choices = vec![Choice { tile: Tile::Registers, splits: 1 }];
    for tile in [Tile::Rows32, Tile::Rows128] {
        if tile == Tile::Rows32 || weights != DType::F32 {
            choices.extend([1, 3].map(|splits| Choice { tile, splits }));
        }
    }
    choices
}

/// Weights as stored: rubbish in the columns past `depth`, all ones between values and scales.
pub fn weights(seed: u64, dtype: DType, rows: usize, depth: usize) -> (Input, usize) {
    let unit = if matches!(dtype, DType::Q8_0 | DType::Q4_0) { 32 } else { 4 };
    let columns = depth.next_multiple_of(unit);
    let layout = MatrixLayout::new(dtype, rows, columns).unwrap();
    let mut bytes = vec![0xFF; layout.bytes as usize];
    let spread = 1.0 / (depth as f32).sqrt();
    for (offset, data) in layout.pack_rows(0, &values(seed, rows * columns, spread)).unwrap() {
        bytes[offset as usize..offset as usize + data.len()].copy_from_slice(&data);
    }
    (Input(bytes), columns)
}

/// An activation with NaN behind its end.
pub fn poisoned(seed: u64, count: usize, dtype: DType) -> Input {
    let mut values = values(seed, count, 1.0);
    values.extend([f32::NAN; 64]);
    Input::elements(&values, dtype)
}

/// Inputs 0 and 1 are the operands; the epilogue's follow.
pub const BIAS: usize = 2;
pub const BATCH_BIAS: usize = 3;
pub const RESIDUAL: usize = 4;

/// Channels of the batch bias around the slice that is added.
const MARGIN: usize = 8;

/// Bias, batch bias (wider than the outputs) and residual for outputs of `shape`.
pub fn epilogue_inputs(shape: Shape, dtype: DType) -> [Input; 3] {
    let width = shape.channels + 2 * MARGIN;
    [
        Input::floats(&values(11, shape.channels, 1.0)),
        Input::elements(&values(12, shape.batch * width, 1.0), dtype),
        poisoned(13, shape.elements(), dtype),
    ]
}

/// The epilogues under test, by number.
pub const EPILOGUES: usize = 6;

pub fn epilogue<'a>(
    number: usize,
    recorder: &mut Recorder,
    inputs: &'a [Resident],
    shape: Shape,
) -> Result<Epilogue<'a>> {
    let width = shape.channels + 2 * MARGIN;
    let batch_bias = tensor(recorder, &inputs[BATCH_BIAS], Shape::tokens(shape.batch, 1, width))?;
    let first = tensor(recorder, &inputs[BATCH_BIAS], Shape::tokens(1, 1, width))?;
    let halved = shape.with_channels(shape.channels / 2);
    let residual = tensor(recorder, &inputs[RESIDUAL], shape)?;
    let half_residual = tensor(recorder, &inputs[RESIDUAL], halved)?;
    let bias = Some(&inputs[BIAS]);
    let gated = shape.channels.is_multiple_of(8);
    Ok(match number {
        0 => Epilogue::default(),
        1 => Epilogue { bias, activation: Activation::QuickGelu, ..Epilogue::default() },
        2 => Epilogue { batch_bias: Some((batch_bias, MARGIN)), activation: Activation::Silu, ..Epilogue::default() },
        3 => Epilogue {
            bias,
            batch_bias: Some((first, 4)),
            residual: Some(residual),
            activation: Activation::GeluTanh,
            scale: 0.7,
            ..Epilogue::default()
        },
        4 => Epilogue { bias, gated, ..Epilogue::default() },
        _ => Epilogue {
            bias,
            batch_bias: Some((batch_bias, 0)),
            residual: Some(if gated { half_residual } else { residual }),
            activation: Activation::Silu,
            gated,
            scale: -1.5,
        },
    })
}

/// Rows (in two batch entries where even), K, columns.
const SHAPES: [(usize, usize, usize); 9] = [
    (1, 4, 4),
    (2, 36, 8),
    (3, 64, 20),
    (1, 320, 128),
    (33, 100, 68),
    (34, 260, 64),
    (130, 72, 136),
    (257, 32, 12),
    (154, 332, 72),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("matmul.chosen", chosen)];
    for dtype in activations() {
        for weights in WEIGHTS {
            for choice in choices(weights) {
                let Choice { tile, splits } = choice;
                let name = format!("matmul.activations_{dtype}.weights_{weights}.{tile:?}.splits_{splits}");
                trials.push(Trial::test(name, move || {
                    for shape in SHAPES {
                        case(dtype, weights, Some(choice), shape)?;
                    }
                    Ok(())
                }));
            }
        }
    }
    trials
}

fn case(
    dtype: DType,
    weight_type: DType,
    choice: Option<Choice>,
    (rows, depth, columns): (usize, usize, usize),
) -> std::result::Result<(), Failed> {
    let batch = if rows % 2 == 0 { 2 } else { 1 };
    let shape = Shape::tokens(batch, rows / batch, depth);
    let (weights, stored) = weights(2, weight_type, columns, depth);
    let mut inputs = vec![poisoned(1, shape.elements(), dtype), weights];
    inputs.extend(epilogue_inputs(shape.with_channels(columns), dtype));
    for number in 0..EPILOGUES {
        agree(dtype, &inputs, tolerance(dtype), &|recorder, inputs| -> Result<Tensor> {
            let x = tensor(recorder, &inputs[0], shape)?;
            let weights = Matrix { resident: inputs[1].clone(), dtype: weight_type, rows: columns, columns: stored };
            let epilogue = epilogue(number, recorder, inputs, shape.with_channels(columns))?;
            match choice {
                None => linear(recorder, x, &weights, &epilogue),
                choice => linear_with(recorder, x, &weights, &epilogue, choice),
            }
        })
        .map_err(|error| format!("{rows}×{depth}×{columns}, epilogue {number}: {}", error.message().unwrap_or("")))?;
    }
    Ok(())
}

/// What `choose` takes by itself on this device.
fn chosen() -> std::result::Result<(), Failed> {
    for dtype in activations() {
        case(dtype, DType::Q8_0, None, (77, 768, 128))?;
    }
    Ok(())
}
