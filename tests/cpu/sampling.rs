//! The image and sampling kernels' twins against their definitions.

use darkroom::error::ErrorKind;
use darkroom::ops::elementwise::copy_into;
use darkroom::ops::image::{from_rgba, preview, to_rgba};
use darkroom::ops::sampling::{
    Guidance, Line, MAX_COMBINATIONS, MAX_REGISTERS, Registers, encode_guidance, encode_program, guidance, model_input,
    sampler_step,
};
use darkroom::record::{Executor, Uncontrolled};
use darkroom::tensor::Shape;

use crate::bench::{Bench, assert_close, values};

#[test]
fn pixels_are_packed_as_the_canvas_wants_them() {
    let mut bench = Bench::new();
    // 254/255 and 1/255 in ±1, and beyond both ends; 0 is 127.5, which rounds to even.
    let x = [-1.0, 1.0, 0.0, 9.0, -3.0, 5.0, 2.0 * 2.0 / 255.0 - 1.0, 9.0];
    let tensor = bench.tensor(Shape::image(1, 1, 2, 4), &x);
    let pixels = bench.words(&[0; 2]);
    to_rgba(&mut bench.recorder, tensor, &pixels).unwrap();
    assert_eq!(bench.contents(&pixels, 2), [0, 255, 128, 255, 0, 255, 2, 255]);

    let mut bench = Bench::new();
    let pixels = bench.bytes(&[0, 255, 51, 7]);
    let result = from_rgba(&mut bench.recorder, &pixels, 1, 1, 1);
    assert_close(&bench.result(result), &[-1.0, 1.0, -0.6, 0.0], 1e-7);

    let mut bench = Bench::new();
    // Two positions of three channels, padded; red is the first channel, green -1/2 of the second plus 1, blue nothing.
    let state = bench.floats(&[0.2, 1.0, 8.0, 99.0, -1.0, 4.0, 8.0, 99.0]);
    let factors = bench.floats(&[1.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let pixels = bench.words(&[0; 2]);
    preview(&mut bench.recorder, &state, Shape::image(1, 1, 2, 3), &factors, &pixels).unwrap();
    assert_eq!(bench.contents(&pixels, 2), [153, 191, 128, 255, 0, 0, 128, 255]);
}

#[test]
fn guidance_is_that_of_diffusers() {
    // Two images of 2 positions and 3 channels; the network gives 4, of which the last is padding.
    let (shape, network_shape) = (Shape::tokens(2, 2, 3), Shape::tokens(4, 2, 4));
    let output = values(1, network_shape.elements());
    let (scale, share) = (7.5, 0.6);
    for kind in [Guidance::On, Guidance::Rescaled] {
        let mut bench = Bench::new();
        let network = bench.tensor(network_shape, &output);
        let state = bench.floats(&[5.0; 3 * 16]);
        let settings = bench.bytes(&encode_guidance(scale, share));
        let not_finite = bench.words(&[0]);
        let registers = Registers { state: &state, count: 3, shape };
        guidance(&mut bench.recorder, network, &registers, kind, &settings, &not_finite).unwrap();
        let actual: Vec<f32> = bytemuck::pod_collect_to_vec(&bench.contents(&state, 48));

        let mut expected = vec![5.0; 48];
        for image in 0..2 {
            let pick = |entry: usize| -> Vec<f64> {
                (0..8).filter(|i| i % 4 < 3).map(|i| f64::from(output[entry * 8 + i])).collect()
            };
            let (without, with) = (pick(image), pick(2 + image));
            let mut guided: Vec<f64> = without.iter().zip(&with).map(|(u, c)| u + f64::from(scale) * (c - u)).collect();
            if kind == Guidance::Rescaled {
                let factor = deviation(&with) / deviation(&guided);
                let share = f64::from(share);
                guided.iter_mut().for_each(|x| *x = share * (*x * factor) + (1.0 - share) * *x);
            }
            for (i, x) in guided.iter().enumerate() {
                expected[16 + image * 8 + i / 3 * 4 + i % 3] = *x;
            }
            expected[16 + image * 8 + 3] = 0.0;
            expected[16 + image * 8 + 7] = 0.0;
        }
        assert_close(&actual, &expected, 5e-6);
    }
}

/// torch.std
fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

#[test]
fn a_step_runs_its_lines_in_order() {
    let shape = Shape::tokens(1, 1, 4);
    let lines = [
        Line { target: 3, terms: vec![(0, 2.0), (1, -1.0)], limit: Some(2.5) },
        Line { target: 0, terms: vec![(3, 1.0), (0, 0.5)], limit: None },
    ];
    let mut bench = Bench::new();
    let program = bench.bytes(&encode_program(&lines, 10.0, 0.5).unwrap());
    // Sample 1 2 3 4, model output 1, noise 7, memory 0.
    let mut values: Vec<f32> = vec![1.0, 2.0, 3.0, 4.0];
    values.extend([1.0; 4].into_iter().chain([7.0; 4]).chain([0.0; 4]));
    let state = bench.floats(&values);
    let input = bench.floats(&[0.0; 8]);
    let registers = Registers { state: &state, count: 4, shape };
    let before = model_input(&mut bench.recorder, &registers, &program, 2).unwrap();
    let first = bench.reference.create("first input", 32).unwrap();
    copy_into(&mut bench.recorder, before, &first).unwrap();
    sampler_step(&mut bench.recorder, &registers, &program, Some((&input, 2))).unwrap();
    let Bench { reference, recorder } = bench;
    let program = reference.prepare(recorder.finish()).unwrap();
    pollster::block_on(reference.run(&program, &Uncontrolled)).unwrap();
    let read = |resident, words: u64| -> Vec<f32> {
        bytemuck::pod_collect_to_vec(&pollster::block_on(reference.read(resident, 0, 4 * words)).unwrap())
    };
    assert_eq!(read(&first, 8), [10.0, 20.0, 30.0, 40.0, 10.0, 20.0, 30.0, 40.0]);
    assert_eq!(read(&state, 4), [1.5, 3.5, 4.0, 4.5]);
    assert_eq!(read(&state, 16)[4..], [1.0, 1.0, 1.0, 1.0, 7.0, 7.0, 7.0, 7.0, 1.0, 2.5, 2.5, 2.5]);
    assert_eq!(read(&input, 8), [0.75, 1.75, 2.0, 2.25, 0.75, 1.75, 2.0, 2.25]);
}

#[test]
fn programs_out_of_range_are_refused() {
    let line = |target, register| Line { target, terms: vec![(register, 1.0)], limit: None };
    assert!(encode_program(&[line(MAX_REGISTERS - 1, MAX_REGISTERS - 1)], 1.0, 1.0).is_ok());
    for lines in [vec![line(MAX_REGISTERS, 0)], vec![line(0, MAX_REGISTERS)], vec![line(0, 0); MAX_COMBINATIONS + 1]] {
        assert_eq!(encode_program(&lines, 1.0, 1.0).unwrap_err().kind, ErrorKind::Internal);
    }
}
