//! Linear layers and convolutions on the reference executor against the definition, written from the mathematics alone,
//! so that shader and twin cannot be wrong together; the choice of variants; refused shapes.

use darkroom::error::{ErrorKind, Result};
use darkroom::ops::Matrix;
use darkroom::ops::conv2d::{Convolution, conv2d, conv2d_with};
use darkroom::ops::elementwise::{Activation, copy_into};
use darkroom::ops::gemm::{Choice, Tile, choose};
use darkroom::ops::matmul::{Epilogue, linear, linear_with};
use darkroom::quant::MatrixLayout;
use darkroom::record::{Capabilities, Executor, Recorder, Resident, Tensor, Uncontrolled};
use darkroom::reference::Reference;
use darkroom::tensor::{DType, Shape};

fn values(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn gpu_like() -> Capabilities {
    Capabilities { f16: true, ..Capabilities::baseline() }
}

/// Recorder and executor side by side, in f32.
struct Bench {
    reference: Reference,
    recorder: Recorder,
}

impl Bench {
    fn new() -> Self {
        let reference = Reference::new(gpu_like());
        let recorder = Recorder::new(reference.capabilities(), DType::F32).unwrap();
        Self { reference, recorder }
    }

    fn resident(&self, values: &[f32]) -> Resident {
        let resident = self.reference.create("input", values.len() as u64 * 4).unwrap();
        self.reference.write(&resident, 0, bytemuck::cast_slice(values)).unwrap();
        resident
    }

    fn tensor(&mut self, shape: Shape, values: &[f32]) -> Tensor {
        let resident = self.resident(values);
        self.recorder.resident_tensor("input", &resident, shape, DType::F32).unwrap()
    }

    fn matrix(&self, dtype: DType, rows: usize, columns: usize, values: &[f32]) -> Matrix {
        let layout = MatrixLayout::new(dtype, rows, columns).unwrap();
        let resident = self.reference.create("weights", layout.bytes).unwrap();
        for (offset, data) in layout.pack_rows(0, values).unwrap() {
            self.reference.write(&resident, offset, &data).unwrap();
        }
        Matrix { resident, dtype, rows, columns }
    }

    fn outcome(mut self, tensor: Tensor) -> Vec<f32> {
        let bytes = tensor.shape.elements() as u64 * 4;
        let target = self.reference.create("output", bytes).unwrap();
        copy_into(&mut self.recorder, tensor, &target).unwrap();
        let program = self.reference.prepare(self.recorder.finish()).unwrap();
        pollster::block_on(self.reference.run(&program, &Uncontrolled)).unwrap();
        bytemuck::pod_collect_to_vec(&pollster::block_on(self.reference.read(&target, 0, bytes)).unwrap())
    }
}

fn assert_close(actual: &[f32], expected: &[f64], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.1, "{what}: nothing to compare");
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(*actual) - expected).abs();
        assert!(difference <= 1e-6 * largest, "{what}: {actual} instead of {expected} at {index}");
    }
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

#[test]
fn linear_layers_follow_the_definition() {
    let (batch, tokens, depth, outputs) = (2, 3, 20, 8);
    let shape = Shape::tokens(batch, tokens, depth);
    let x = values(1, shape.elements());
    let w = values(2, outputs * depth);
    let bias = values(3, outputs);
    let batch_bias = values(4, batch * 12);
    let residual = values(5, batch * tokens * outputs);
    let expected: Vec<f64> = (0..batch * tokens * outputs)
        .map(|i| {
            let (row, output) = (i / outputs, i % outputs);
            let products = (0..depth).map(|k| f64::from(x[row * depth + k]) * f64::from(w[output * depth + k]));
            let biases = f64::from(bias[output]) + f64::from(batch_bias[row / tokens * 12 + 4 + output]);
            0.5 * (silu(products.sum::<f64>() + biases) + f64::from(residual[i]))
        })
        .collect();
    let mut bench = Bench::new();
    let input = bench.tensor(shape, &x);
    let weights = bench.matrix(DType::F32, outputs, depth, &w);
    let epilogue = Epilogue {
        bias: Some(&bench.resident(&bias)),
        batch_bias: Some((bench.tensor(Shape::tokens(batch, 1, 12), &batch_bias), 4)),
        residual: Some(bench.tensor(shape.with_channels(outputs), &residual)),
        activation: Activation::Silu,
        gated: false,
        scale: 0.5,
    };
    let y = linear(&mut bench.recorder, input, &weights, &epilogue).unwrap();
    assert_eq!(y.shape, shape.with_channels(outputs));
    assert_close(&bench.outcome(y), &expected, "linear");
}

#[test]
fn split_depth_changes_nothing() {
    let (rows, depth, outputs) = (5, 100, 12);
    let shape = Shape::tokens(1, rows, depth);
    let x = values(1, shape.elements());
    let w = values(2, outputs * depth);
    let expected: Vec<f64> = (0..rows * outputs)
        .map(|i| {
            (0..depth).map(|k| f64::from(x[i / outputs * depth + k]) * f64::from(w[i % outputs * depth + k])).sum()
        })
        .collect();
    for splits in [1, 2, 3, 4, 9] {
        let mut bench = Bench::new();
        let input = bench.tensor(shape, &x);
        let weights = bench.matrix(DType::F32, outputs, depth, &w);
        let choice = Some(Choice { tile: Tile::Rows32, splits });
        let y = linear_with(&mut bench.recorder, input, &weights, &Epilogue::default(), choice).unwrap();
        assert_close(&bench.outcome(y), &expected, &format!("{splits} splits"));
    }
}

#[test]
fn gates_pair_blocks_of_four_rows() {
    // GELU by its definition x · Φ(x), Φ by numerical integration of the density.
    let gelu = |x: f64| {
        let steps = 20_000;
        let width = x / f64::from(steps);
        let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        x * (0.5 + (0..steps).map(|i| density((f64::from(i) + 0.5) * width) * width).sum::<f64>())
    };
    let (rows, depth, outputs) = (3, 8, 16);
    let x = values(6, rows * depth);
    let w = values(7, outputs * depth);
    let product = |row: usize, output: usize| -> f64 {
        (0..depth).map(|k| f64::from(x[row * depth + k]) * f64::from(w[output * depth + k])).sum()
    };
    let expected: Vec<f64> = (0..rows * outputs / 2)
        .map(|i| {
            let (row, output) = (i / (outputs / 2), i % (outputs / 2));
            let value = output / 4 * 8 + output % 4;
            product(row, value) * gelu(product(row, value + 4))
        })
        .collect();
    let mut bench = Bench::new();
    let input = bench.tensor(Shape::tokens(1, rows, depth), &x);
    let weights = bench.matrix(DType::F32, outputs, depth, &w);
    let epilogue = Epilogue { gated: true, ..Epilogue::default() };
    let y = linear(&mut bench.recorder, input, &weights, &epilogue).unwrap();
    assert_eq!(y.shape.channels, outputs / 2);
    assert_close(&bench.outcome(y), &expected, "gated");
}

/// Channels-first, padded and enlarged and concatenated images as real arrays.
#[test]
fn convolutions_follow_the_definition() {
    let same = Convolution::same;
    let cases = [
        (Shape::image(2, 5, 4, 4), 0, same(3, 5, 4)),
        (Shape::image(1, 7, 6, 4), 8, same(3, 7, 6)),
        (Shape::image(1, 7, 6, 8), 4, same(1, 7, 6)),
        (Shape::image(2, 7, 6, 4), 0, Convolution { stride: 2, output: (4, 3), ..same(3, 0, 0) }),
        (
            Shape::image(1, 8, 6, 4),
            0,
            Convolution { stride: 2, pad_top: 0, pad_left: 0, output: (4, 3), ..same(3, 0, 0) },
        ),
        (Shape::image(2, 9, 7, 4), 4, Convolution { upsample: Some((17, 13)), ..same(3, 17, 13) }),
        (Shape::image(1, 3, 2, 4), 0, Convolution { upsample: Some((6, 4)), ..same(3, 6, 4) }),
    ];
    for (input, second, convolution) in cases {
        let outputs = 8;
        let channels = input.channels + second;
        let kernel = convolution.kernel;
        let x = values(1, input.elements());
        let other = values(2, input.with_channels(second).elements());
        let w = values(3, outputs * kernel * kernel * channels);
        let resized = convolution.upsample.unwrap_or((input.height, input.width));

        let pixel = |b: usize, c: usize, y: isize, x_: isize| -> f64 {
            if y < 0 || x_ < 0 || y >= resized.0 as isize || x_ >= resized.1 as isize {
                return 0.0;
            }
            let row = (y as f64 * input.height as f64 / resized.0 as f64).floor() as usize;
            let column = (x_ as f64 * input.width as f64 / resized.1 as f64).floor() as usize;
            let position = (b * input.height + row) * input.width + column;
            f64::from(if c < input.channels {
                x[position * input.channels + c]
            } else {
                other[position * second + c - input.channels]
            })
        };
        let mut expected = Vec::new();
        for b in 0..input.batch {
            for (y, x_) in (0..convolution.output.0).flat_map(|y| (0..convolution.output.1).map(move |x| (y, x))) {
                for output in 0..outputs {
                    let mut sum = 0.0;
                    for c in 0..channels {
                        for (i, j) in (0..kernel).flat_map(|i| (0..kernel).map(move |j| (i, j))) {
                            let weight = w[((output * kernel + i) * kernel + j) * channels + c];
                            let y = (y * convolution.stride + i) as isize - convolution.pad_top as isize;
                            let x_ = (x_ * convolution.stride + j) as isize - convolution.pad_left as isize;
                            sum += f64::from(weight) * pixel(b, c, y, x_);
                        }
                    }
                    expected.push(sum);
                }
            }
        }

        let mut bench = Bench::new();
        let image = bench.tensor(input, &x);
        let other = (second > 0).then(|| bench.tensor(input.with_channels(second), &other));
        let weights = bench.matrix(DType::F32, outputs, kernel * kernel * channels, &w);
        let y = conv2d(&mut bench.recorder, image, other, &weights, &convolution, &Epilogue::default()).unwrap();
        assert_close(&bench.outcome(y), &expected, &format!("{input} + {second}, {convolution:?}"));
    }
}

#[test]
fn weight_types_decode_in_place() {
    let (rows, depth, outputs) = (3, 40, 8);
    let x = values(1, rows * depth);
    for dtype in [DType::F16, DType::Q8_0, DType::Q4_0] {
        let columns = if dtype == DType::F16 { depth } else { 64 };
        let w = values(2, outputs * columns);
        let decoded = darkroom::quant::decode(dtype, &darkroom::quant::encode(dtype, &w).unwrap()).unwrap();
        let product = |row: usize, output: usize| {
            (0..depth).map(|k| f64::from(x[row * depth + k]) * f64::from(decoded[output * columns + k])).sum()
        };
        let expected: Vec<f64> = (0..rows * outputs).map(|i| product(i / outputs, i % outputs)).collect();
        let mut bench = Bench::new();
        let input = bench.tensor(Shape::tokens(1, rows, depth), &x);
        let weights = bench.matrix(dtype, outputs, columns, &w);
        let y = linear(&mut bench.recorder, input, &weights, &Epilogue::default()).unwrap();
        assert_close(&bench.outcome(y), &expected, dtype.name());
    }
}

#[test]
fn large_products_are_cut_into_bands() {
    // Operations of a dispatch are limited; the bands must cover every row once.
    let mut bench = Bench::new();
    let (size, channels) = (256, 320);
    let shape = Shape::image(1, size, size, channels);
    let input = bench.recorder.tensor("input", shape).unwrap();
    let weights = bench.matrix(DType::F16, channels, 9 * channels, &vec![0.0; 9 * channels * channels]);
    let same = Convolution::same(3, size, size);
    conv2d(&mut bench.recorder, input, None, &weights, &same, &Epilogue::default()).unwrap();
    let recording = bench.recorder.finish();
    let mut next = 0;
    for dispatch in &recording.dispatches {
        let params: darkroom::record::catalogue::parameters::GemmParams =
            bytemuck::pod_read_unaligned(&dispatch.parameters);
        assert_eq!(params.first_row, next);
        next = params.end_row;
        assert!(dispatch.operations <= 1 << 34);
    }
    assert_eq!(next as usize, size * size);
    assert!(recording.dispatches.len() > 1);
    assert_eq!(recording.operations(), 2 * (size * size * channels) as u64 * 9 * channels as u64);
}

#[test]
fn the_choice_follows_the_table() {
    let gpu = gpu_like();
    let software = Capabilities { software: true, ..gpu_like() };
    let small_buffers = Capabilities { max_binding_bytes: 2 << 20, ..gpu_like() };
    use Tile::{Registers, Rows32, Rows128};
    let table = [
        // Image levels of a UNet at 512²: 64², 32², 16², 8², with and without guidance.
        ((4096, 320, 2880), DType::F16, &gpu, Rows128, 1),
        ((8192, 320, 2880), DType::F16, &gpu, Rows128, 1),
        ((1024, 640, 5760), DType::Q8_0, &gpu, Rows128, 1),
        ((256, 1280, 11520), DType::Q8_0, &gpu, Rows128, 2),
        ((64, 1280, 11520), DType::Q4_0, &gpu, Rows32, 7),
        // Text: 77 tokens; a time embedding.
        ((77, 768, 768), DType::F16, &gpu, Rows32, 3),
        ((1, 1280, 320), DType::F16, &gpu, Rows32, 1),
        // An autoencoder's largest level.
        ((262_144, 128, 1152), DType::F16, &gpu, Rows128, 1),
        // f32 weights have no tall tile; the parts must fit a binding; programs on the CPU use registers.
        ((4096, 320, 2880), DType::F32, &gpu, Rows32, 1),
        ((256, 1280, 11520), DType::Q8_0, &small_buffers, Rows128, 1),
        ((4096, 320, 2880), DType::F16, &software, Registers, 1),
        ((1, 4, 4), DType::Q4_0, &software, Registers, 1),
    ];
    for ((rows, columns, depth), weights, capabilities, tile, splits) in table {
        let choice = choose(rows, columns, depth, weights, capabilities);
        assert_eq!(choice, Choice { tile, splits }, "{rows}×{columns}×{depth} {weights}");
    }
}

#[test]
fn contradictions_are_refused() {
    let mut bench = Bench::new();
    let image = bench.tensor(Shape::image(2, 4, 4, 8), &values(1, 256));
    let wider = bench.tensor(Shape::image(2, 4, 6, 8), &values(1, 384));
    let weights = bench.matrix(DType::F32, 4, 72, &values(1, 288));
    let plain = Epilogue::default();
    let same = Convolution::same(3, 4, 4);
    let kind = |result: Result<Tensor>| result.unwrap_err().kind;
    let recorder = &mut bench.recorder;

    assert_eq!(kind(linear(recorder, image, &weights, &plain)), ErrorKind::TensorShape);
    assert_eq!(kind(conv2d(recorder, image, Some(image), &weights, &same, &plain)), ErrorKind::TensorShape);
    assert_eq!(kind(conv2d(recorder, image, Some(wider), &weights, &same, &plain)), ErrorKind::TensorShape);
    let gated = Epilogue { gated: true, ..plain };
    assert_eq!(kind(conv2d(recorder, image, None, &weights, &same, &gated)), ErrorKind::TensorShape);
    let residual = Epilogue { residual: Some(wider), ..plain };
    assert_eq!(kind(conv2d(recorder, image, None, &weights, &same, &residual)), ErrorKind::TensorShape);
    let batch_bias = Epilogue { batch_bias: Some((image, 0)), ..plain };
    assert_eq!(kind(conv2d(recorder, image, None, &weights, &same, &batch_bias)), ErrorKind::TensorShape);
    for wrong in [
        Convolution { kernel: 5, ..same },
        Convolution { stride: 3, ..same },
        Convolution { pad_top: 3, ..same },
        Convolution { output: (0, 4), ..same },
        Convolution { output: (4, 6), ..same },
        Convolution { upsample: Some((2, 8)), ..same },
    ] {
        assert_eq!(kind(conv2d(recorder, image, None, &weights, &wrong, &plain)), ErrorKind::Internal, "{wrong:?}");
    }
    let brain = Matrix { dtype: DType::BF16, ..weights.clone() };
    assert_eq!(kind(conv2d(recorder, image, None, &brain, &same, &plain)), ErrorKind::Internal);
    let taller = Matrix { rows: 8, ..weights.clone() };
    assert_eq!(kind(conv2d(recorder, image, None, &taller, &same, &plain)), ErrorKind::Internal);
    let short = bench.resident(&[0.0; 1]);
    let large = bench.matrix(DType::F32, 20, 72, &values(1, 1440));
    let bias = Epilogue { bias: Some(&short), ..plain };
    let recorder = &mut bench.recorder;
    assert_eq!(kind(conv2d(recorder, image, None, &large, &same, &bias)), ErrorKind::TensorShape);
    let choice = Some(Choice { tile: Tile::Rows128, splits: 1 });
    assert_eq!(kind(conv2d_with(recorder, image, None, &weights, &same, &plain, choice)), ErrorKind::Internal);
}
