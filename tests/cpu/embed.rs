//! The embeddings' twins against their definitions.

use darkroom::error::ErrorKind;
use darkroom::ops::Matrix;
use darkroom::ops::embed::{gather_rows, timestep_embedding, token_embedding};
use darkroom::quant::MatrixLayout;
use darkroom::tensor::{DType, Shape};

use crate::bench::{Bench, assert_close, values};

#[test]
fn token_embedding_looks_up_and_adds_positions() {
    for dtype in [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0] {
        let (columns, tokens) = (32, [9, 0, 3, 4, 11, 12]);
        let mut bench = Bench::new();
        // Decoded by the layout itself: rows 0 to 3 in one chunk, 4 to 11 in another.
        let matrix = |seed, rows: usize| {
            let layout = MatrixLayout::new(dtype, rows, columns).unwrap();
            let mut bytes = vec![0; layout.bytes as usize];
            for (offset, data) in layout.pack_rows(0, &values(seed, rows * columns)).unwrap() {
                bytes[offset as usize..][..data.len()].copy_from_slice(&data);
            }
            let decoded = layout.unpack_rows(&bytes, 0, rows).unwrap();
            (Matrix { resident: bench.bytes(&bytes), dtype, rows, columns }, decoded)
        };
        let (first, mut table) = matrix(1, 4);
        let (second, more) = matrix(2, 8);
        let (positions, offsets) = matrix(3, 4);
        table.extend(more);
        table.extend([0.0; 32]); // a token beyond the table
        let expected: Vec<f64> = tokens
            .iter()
            .enumerate()
            .flat_map(|(i, token)| (0..columns).map(move |c| (i % 3 * columns + c, token * columns + c)))
            .map(|(position, token)| f64::from(offsets[position]) + f64::from(table[token]))
            .collect();
        let tokens = bench.words(&tokens.map(|token| token as u32));
        let tokens = bench.recorder.resident("tokens", &tokens);
        let shape = Shape::tokens(2, 3, columns);
        let result = token_embedding(&mut bench.recorder, tokens, shape, &[first, second], &positions);
        assert_close(&bench.result(result), &expected, 1e-6);
    }
}

#[test]
fn timestep_embedding_is_that_of_diffusers() {
    // get_timestep_embedding(tensor([1, 981]), channels, flip_sin_to_cos, downscale_freq_shift), from its definition.
    let cases: [(usize, bool, f32, [f64; 2]); 3] =
        [(4, true, 0.0, [1.0, 0.01]), (4, false, 0.0, [1.0, 0.01]), (4, false, 1.0, [1.0, 0.0001])];
    for (channels, flip, shift, frequencies) in cases {
        let mut bench = Bench::new();
        let timesteps = bench.floats(&[1.0, 981.0]);
        let timesteps = bench.recorder.resident("timesteps", &timesteps);
        let result = timestep_embedding(&mut bench.recorder, timesteps, 2, channels, flip, shift);
        let mut expected = Vec::new();
        for timestep in [1.0, 981.0] {
            let sines = frequencies.map(|frequency: f64| (timestep * frequency).sin());
            let cosines = frequencies.map(|frequency: f64| (timestep * frequency).cos());
            let halves = if flip { [cosines, sines] } else { [sines, cosines] };
            expected.extend(halves.concat());
        }
        assert_close(&bench.result(result), &expected, 1e-6);
    }
    // Odd channels end in a zero, and so does the padding.
    let mut bench = Bench::new();
    let timesteps = bench.floats(&[0.0]);
    let timesteps = bench.recorder.resident("timesteps", &timesteps);
    let result = timestep_embedding(&mut bench.recorder, timesteps, 1, 5, true, 0.0);
    assert_close(&bench.result(result), &[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0.0);
    let mut bench = Bench::new();
    let timesteps = bench.floats(&[0.0]);
    let timesteps = bench.recorder.resident("timesteps", &timesteps);
    let result = timestep_embedding(&mut bench.recorder, timesteps, 1, 2, true, 1.0);
    assert_eq!(result.unwrap_err().kind, ErrorKind::Unsupported);
}

#[test]
fn gather_rows_takes_one_row_of_each_entry() {
    let x: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let mut bench = Bench::new();
    let tensor = bench.tensor(Shape::tokens(2, 3, 4), &x);
    let numbers = bench.words(&[2, 0]);
    let numbers = bench.recorder.resident("numbers", &numbers);
    let result = gather_rows(&mut bench.recorder, tensor, numbers);
    assert_close(&bench.result(result), &[8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0], 0.0);
}
