//! `gemm` over taps against its twin: every variant, odd sizes, strides, paddings, resizing, concatenation, epilogues.

use darkroom::error::Result;
use darkroom::ops::Matrix;
use darkroom::ops::conv2d::{Convolution, conv2d_with};
use darkroom::ops::gemm::Choice;
use darkroom::ops::matmul::Epilogue;
use darkroom::record::{Executor, Tensor};
use darkroom::reference::Reference;
use darkroom::tensor::{DType, Shape};
use libtest_mimic::{Failed, Trial};

use crate::harness::{Input, activations, agree, outcome, tensor, tolerance, values, with_gpu};
use crate::matmul::{EPILOGUES, WEIGHTS, choices, epilogue, epilogue_inputs, poisoned, weights};

/// Inputs 0 and 1 are image and weights, 2 to 4 the epilogue's.
const SECOND: usize = 5;

/// An input image, the channels of a second one, and what is done with them.
struct Case {
    input: Shape,
    second: usize,
    outputs: usize,
    convolution: Convolution,
}

fn cases() -> Vec<Case> {
    let same = Convolution::same;
    let strided = |height: usize, width: usize, pad: usize| Convolution {
        stride: 2,
        pad_top: pad,
        pad_left: pad,
        output: (height, width),
        ..same(3, height, width)
    };
    let case = |input, second, outputs, convolution| Case { input, second, outputs, convolution };
    vec![
        case(Shape::image(1, 1, 1, 4), 0, 4, same(3, 1, 1)),
        case(Shape::image(2, 5, 7, 8), 0, 20, same(3, 5, 7)),
        case(Shape::image(1, 9, 11, 36), 0, 68, same(3, 9, 11)),
        case(Shape::image(1, 17, 9, 4), 0, 72, same(3, 17, 9)),
        // Stride 2 on odd and even sizes, padded on both sides and (autoencoders) below and to the right only.
        case(Shape::image(1, 9, 7, 12), 0, 8, strided(5, 4, 1)),
        case(Shape::image(2, 8, 6, 12), 0, 8, strided(4, 3, 1)),
        case(Shape::image(1, 8, 6, 16), 0, 12, strided(4, 3, 0)),
        // Without padding the image shrinks.
        case(Shape::image(1, 6, 5, 8), 0, 8, Convolution { pad_top: 0, pad_left: 0, ..same(3, 4, 3) }),
        // Resizing by two and by odd factors.
        case(Shape::image(1, 4, 3, 8), 0, 16, Convolution { upsample: Some((8, 6)), ..same(3, 8, 6) }),
        case(Shape::image(2, 9, 7, 8), 0, 8, Convolution { upsample: Some((17, 13)), ..same(3, 17, 13) }),
        case(Shape::image(1, 5, 6, 4), 0, 8, Convolution { upsample: Some((10, 13)), ..strided(5, 7, 1) }),
        // Two inputs.
        case(Shape::image(1, 6, 5, 8), 20, 24, same(3, 6, 5)),
        case(Shape::image(2, 6, 5, 12), 4, 40, same(1, 6, 5)),
        case(Shape::image(2, 3, 4, 4), 8, 8, Convolution { upsample: Some((7, 8)), ..same(3, 7, 8) }),
        // One tap: a linear layer, and one that is not because of its stride.
        case(Shape::image(2, 5, 6, 20), 0, 16, same(1, 5, 6)),
        case(Shape::image(1, 5, 6, 20), 0, 16, Convolution { stride: 2, ..same(1, 3, 3) }),
    ]
}

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("conv2d.not_a_number_stays_in_its_windows", not_a_number)];
    for dtype in activations() {
        for weights in WEIGHTS {
            for choice in choices(weights) {
                let Choice { tile, splits } = choice;
                let name = format!("conv2d.activations_{dtype}.weights_{weights}.{tile:?}.splits_{splits}");
                trials.push(Trial::test(name, move || {
                    for (number, case) in cases().iter().enumerate() {
                        run(dtype, weights, choice, case, number % EPILOGUES)?;
                    }
                    Ok(())
                }));
            }
        }
    }
    trials
}

fn run(
    dtype: DType,
    weight_type: DType,
    choice: Choice,
    case: &Case,
    number: usize,
) -> std::result::Result<(), Failed> {
    let &Case { input, second, outputs, convolution } = case;
    let depth = convolution.kernel * convolution.kernel * (input.channels + second);
    let (weights, stored) = weights(2, weight_type, outputs, depth);
    let shape = Shape::image(input.batch, convolution.output.0, convolution.output.1, outputs);
    let mut inputs = vec![poisoned(1, input.elements(), dtype), weights];
    inputs.extend(epilogue_inputs(shape, dtype));
    let second_shape = input.with_channels(second);
    inputs.push(poisoned(3, second_shape.elements(), dtype));
    agree(dtype, &inputs, tolerance(dtype), &|recorder, inputs| -> Result<Tensor> {
        let x = tensor(recorder, &inputs[0], input)?;
        let other = tensor(recorder, &inputs[SECOND], second_shape)?;
        let other = (second > 0).then_some(other);
        let weights = Matrix { resident: inputs[1].clone(), dtype: weight_type, rows: outputs, columns: stored };
        let epilogue = epilogue(number, recorder, inputs, shape)?;
        conv2d_with(recorder, x, other, &weights, &convolution, &epilogue, Some(choice))
    })
    .map_err(|error| {
        format!("{input} + {second} → {outputs}, {convolution:?}: {}", error.message().unwrap_or("")).into()
    })
}

/// A pixel that is not a number spoils the outputs whose windows hold it and no others: K is not a multiple of any slab,
/// and what a tile reads past its end must not meet the weights.
fn not_a_number() -> std::result::Result<(), Failed> {
    let input = Shape::image(1, 9, 11, 4);
    let mut pixels = values(1, input.elements(), 1.0);
    pixels[(4 * input.width + 5) * input.channels] = f32::NAN;
    for weight_type in WEIGHTS {
        let (weights, columns) = weights(2, weight_type, 8, 36);
        let inputs = [Input::elements(&pixels, DType::F32), weights];
        for choice in choices(weight_type) {
            let body = |recorder: &mut _, inputs: &[_]| {
                let x = tensor(recorder, &inputs[0], input)?;
                let weights = Matrix { resident: inputs[1].clone(), dtype: weight_type, rows: 8, columns };
                let same = Convolution::same(3, input.height, input.width);
                conv2d_with(recorder, x, None, &weights, &same, &Epilogue::default(), Some(choice))
            };
            let spoilt = |values: Vec<f32>| values.iter().map(|value| value.is_nan()).collect::<Vec<_>>();
            with_gpu(|gpu| {
                let gpu = gpu.map_err(|error| error.to_string())?;
                let reference = Reference::new(gpu.capabilities().clone());
                let expected = outcome(&reference, DType::F32, &inputs, &body).map_err(|error| error.to_string())?;
                let actual = outcome(&*gpu, DType::F32, &inputs, &body).map_err(|error| error.to_string())?;
                let expected = spoilt(expected);
                if expected.iter().filter(|spoilt| **spoilt).count() != 9 * 8 || expected != spoilt(actual) {
                    return Err(Failed::from(format!("{weight_type} {choice:?}")));
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}
