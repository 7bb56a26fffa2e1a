//! `guidance`, `guidance_rescale`, `sampler_step` and `model_input` against their twins.

use darkroom::ops::sampling::{
    Guidance, Line, PROGRAM_BYTES, Registers, encode_guidance, encode_program, guidance, model_input, sampler_step,
};
use darkroom::tensor::{DType, Shape, padded_channels};
use libtest_mimic::{Failed, Trial};

use crate::compare::compare;
use crate::harness::{Input, activations, agree, both_aftermaths, tensor, tolerance, values};

/// Of the register file: images, positions and channels; 3 channels are padded to 4.
const SHAPES: [Shape; 4] =
    [Shape::image(1, 1, 1, 4), Shape::image(2, 9, 7, 4), Shape::image(1, 8, 5, 3), Shape::image(3, 16, 17, 16)];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for dtype in activations() {
        for kind in [Guidance::Off, Guidance::On, Guidance::Rescaled] {
            trials.push(Trial::test(format!("guidance.activations_{dtype}.{kind:?}").to_lowercase(), move || {
                for shape in SHAPES {
                    check_guidance(dtype, kind, shape, shape.channels)?;
                    check_guidance(dtype, kind, shape, 2 * shape.channels)?;
                }
                Ok(())
            }));
        }
        trials.push(Trial::test(format!("guidance.activations_{dtype}.counts_not_finite"), move || counts(dtype)));
        trials.push(Trial::test(format!("sampler_step.activations_{dtype}"), move || {
            SHAPES.into_iter().try_for_each(|shape| check_step(dtype, shape))
        }));
        trials.push(Trial::test(format!("model_input.activations_{dtype}"), move || {
            for (shape, copies) in SHAPES.into_iter().zip([1, 2, 3, 2]) {
                let program = encode_program(&[], 0.3, 7.0)?;
                let inputs = [Input(program), Input::floats(&values(1, elements(shape) * 3, 1.0))];
                agree(dtype, &inputs, tolerance(dtype), &|recorder, inputs| {
                    model_input(recorder, &Registers { state: &inputs[1], count: 3, shape }, &inputs[0], copies)
                })?;
            }
            Ok(())
        }));
    }
    trials
}

fn elements(shape: Shape) -> usize {
    shape.rows() * padded_channels(shape.channels)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}

/// Network output of `copies` batches with everything in place, also in the padding, which must not count.
fn network_shape(shape: Shape, guidance: Guidance, channels: usize) -> Shape {
    let copies = if guidance == Guidance::Off { 1 } else { 2 };
    Shape { batch: shape.batch * copies, ..shape.with_channels(padded_channels(channels)) }
}

fn check_guidance(dtype: DType, kind: Guidance, shape: Shape, channels: usize) -> Result<(), Failed> {
    let network = network_shape(shape, kind, channels);
    let inputs = [
        Input::elements(&values(1, network.elements(), 1.0), dtype),
        Input::floats(&values(2, 4 * elements(shape), 1.0)),
        Input(encode_guidance(7.5, 0.7)),
        Input::words(&[0]),
    ];
    let [expected, actual] = both_aftermaths(dtype, &inputs, 1, &|recorder, inputs| {
        let output = tensor(recorder, &inputs[0], network)?;
        let registers = Registers { state: &inputs[1], count: 4, shape };
        guidance(recorder, output, &registers, kind, &inputs[2], &inputs[3])
    })?;
    let (expected, actual) = (floats(&expected), floats(&actual));
    let before = floats(&inputs[1].0);
    let size = elements(shape);
    // The other registers stay bit for bit.
    for kept in [0..size, 2 * size..4 * size] {
        if actual[kept.clone()] != before[kept] {
            return Err("another register changed".into());
        }
    }
    compare(&expected, &actual, 1e-5).map_err(|failed| format!("{shape} {kind:?}: {failed:?}").into())
}

fn counts(dtype: DType) -> Result<(), Failed> {
    let shape = Shape::image(1, 9, 7, 3);
    let network = network_shape(shape, Guidance::On, 3);
    let mut output = values(1, network.elements(), 1.0);
    output[0] = f32::NAN;
    output[65 * 4 + 2] = f32::INFINITY;
    output[125 * 4 + 1] = f32::NEG_INFINITY;
    output[7] = f32::NAN; // padding
    let inputs = [
        Input::elements(&output, dtype),
        Input::floats(&vec![0.0; 3 * elements(shape)]),
        Input(encode_guidance(5.0, 0.0)),
        Input::words(&[40, 2]),
    ];
    let [expected, actual] = both_aftermaths(dtype, &inputs, 3, &|recorder, inputs| {
        let output = tensor(recorder, &inputs[0], network)?;
        let registers = Registers { state: &inputs[1], count: 3, shape };
        guidance(recorder, output, &registers, Guidance::On, &inputs[2], &inputs[3])
    })?;
    let counts = |bytes: &[u8]| bytemuck::pod_collect_to_vec::<u8, u32>(bytes);
    if counts(&expected) != [43, 2] || counts(&actual) != [43, 2] {
        return Err(format!("{:?} on the reference, {:?} here", counts(&expected), counts(&actual)).into());
    }
    Ok(())
}

/// A program that uses all registers, twice one term, a limit, and a register that holds NaN in no term.
fn check_step(dtype: DType, shape: Shape) -> Result<(), Failed> {
    let size = elements(shape);
    let lines = [
        Line { target: 3, terms: vec![(0, 1.5), (1, -0.75)], limit: Some(1.0) },
        Line {
            target: 0,
            terms: (0..11).filter(|r| *r != 2).map(|r| (r, 0.1 * r as f32 + 0.2)).collect(),
            limit: None,
        },
        Line { target: 10, terms: vec![(0, 0.5), (0, 0.25), (10, -1.0)], limit: None },
        Line { target: 9, terms: vec![], limit: Some(0.5) },
    ];
    let mut state = values(1, 11 * size, 1.0);
    state[2 * size..3 * size].fill(f32::NAN);
    let inputs = [
        Input(encode_program(&lines, 3.0, 0.25)?),
        Input::floats(&state),
        Input::elements(&vec![9.0; 2 * size], dtype),
    ];
    assert_eq!(inputs[0].0.len() as u64, PROGRAM_BYTES);
    for (read, dtype_read) in [(1, DType::F32), (2, dtype)] {
        let [mut expected, mut actual] = both_aftermaths(dtype, &inputs, read, &|recorder, inputs| {
            let registers = Registers { state: &inputs[1], count: 11, shape };
            sampler_step(recorder, &registers, &inputs[0], Some((&inputs[2], 2)))
        })?
        .map(|bytes| match dtype_read {
            DType::F16 => bytemuck::pod_collect_to_vec::<u8, u16>(&bytes)
                .into_iter()
                .map(|bits| half::f16::from_bits(bits).to_f32())
                .collect(),
            _ => floats(&bytes),
        });
        if read == 1 {
            for values in [&mut expected, &mut actual] {
                if values[2 * size..3 * size].iter().any(|x| !x.is_nan()) {
                    return Err("the noise register changed".into());
                }
                values.drain(2 * size..3 * size);
            }
        }
        compare(&expected, &actual, tolerance(dtype_read))?;
    }
    // Without a next input the state is the same.
    let [expected, actual] = both_aftermaths(dtype, &inputs, 1, &|recorder, inputs| {
        sampler_step(recorder, &Registers { state: &inputs[1], count: 11, shape }, &inputs[0], None)
    })?;
    compare(&floats(&expected)[..size], &floats(&actual)[..size], 1e-5)
}
