//! `token_embedding`, `timestep_embedding` and `gather_rows` against their twins.

use darkroom::ops::Matrix;
use darkroom::ops::embed::{gather_rows, timestep_embedding, token_embedding};
use darkroom::quant::MatrixLayout;
use darkroom::tensor::{DType, Shape};
use libtest_mimic::Trial;

use crate::harness::{Input, activations, agree, tensor, tolerance, values};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for dtype in activations() {
        for table in [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0] {
            for positions in [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0] {
                let name = format!("token_embedding.activations_{dtype}.table_{table}.positions_{positions}");
                trials.push(Trial::test(name, move || check_tokens(dtype, table, positions)));
            }
        }
        trials.push(Trial::test(format!("timestep_embedding.activations_{dtype}"), move || {
            let timesteps = [0.0, 1.0, 0.5, 17.25, 500.0, 981.0, 999.0, 1000.0];
            for (channels, flip, shift) in
                [(320, true, 0.0), (320, false, 1.0), (2, true, 0.0), (6, false, 0.0), (7, true, 0.0), (256, true, 1.0)]
            {
                let inputs = [Input::floats(&timesteps)];
                // In f32 a phase of 1000 itself is only known to 3e-5.
                let relative = tolerance(dtype).max(1e-4);
                agree(dtype, &inputs, relative, &|recorder, inputs| {
                    let buffer = recorder.resident("timesteps", &inputs[0]);
                    timestep_embedding(recorder, buffer, timesteps.len(), channels, flip, shift)
                })?;
            }
            Ok(())
        }));
        trials.push(Trial::test(format!("gather_rows.activations_{dtype}"), move || {
            for (shape, numbers) in [
                (Shape::tokens(1, 1, 4), vec![0]),
                (Shape::tokens(2, 77, 768), vec![76, 5]),
                (Shape::image(3, 3, 5, 20), vec![14, 0, 99]),
            ] {
                let inputs = [Input::elements(&values(1, shape.elements(), 1.0), dtype), Input::words(&numbers)];
                agree(dtype, &inputs, 1e-7, &|recorder, inputs| {
                    let x = tensor(recorder, &inputs[0], shape)?;
                    let numbers = recorder.resident("numbers", &inputs[1]);
                    gather_rows(recorder, x, numbers)
                })?;
            }
            Ok(())
        }));
    }
    trials
}

/// The bytes of a matrix of random weights.
fn matrix(seed: u64, dtype: DType, rows: usize, columns: usize) -> Input {
    let layout = MatrixLayout::new(dtype, rows, columns).unwrap();
    let mut bytes = vec![0; layout.bytes.next_multiple_of(4) as usize];
    for (offset, data) in layout.pack_rows(0, &values(seed, rows * columns, 1.0)).unwrap() {
        bytes[offset as usize..][..data.len()].copy_from_slice(&data);
    }
    Input(bytes)
}

/// A table of 20 rows in two chunks; tokens at the chunks' edges, and beyond the table.
fn check_tokens(dtype: DType, table: DType, positions: DType) -> Result<(), libtest_mimic::Failed> {
    for (batch, sequence, channels) in [(1, 1, 32), (2, 7, 32), (2, 9, 96)] {
        let (first, second) = (12, 8);
        let tokens: Vec<u32> =
            [0, 11, 12, 19, 20, 5, 13, u32::MAX, 7].into_iter().cycle().take(batch * sequence).collect();
        let inputs = [
            Input::words(&tokens),
            matrix(1, table, first, channels),
            matrix(3, table, second, channels),
            matrix(5, positions, sequence.next_multiple_of(4), channels),
        ];
        agree(dtype, &inputs, tolerance(dtype), &|recorder, inputs| {
            let whole =
                |index: usize, dtype, rows| Matrix { resident: inputs[index].clone(), dtype, rows, columns: channels };
            let chunks = [whole(1, table, first), whole(2, table, second)];
            let tokens = recorder.resident("tokens", &inputs[0]);
            let shape = Shape::tokens(batch, sequence, channels);
            token_embedding(recorder, tokens, shape, &chunks, &whole(3, positions, sequence.next_multiple_of(4)))
        })?;
    }
    Ok(())
}
