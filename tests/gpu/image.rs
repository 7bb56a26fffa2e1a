//! `to_rgba`, `from_rgba` and `preview` against their twins.

use darkroom::ops::image::{from_rgba, preview, to_rgba};
use darkroom::tensor::Shape;
use libtest_mimic::{Failed, Trial};

use crate::harness::{Input, activations, agree, both_aftermaths, tensor, tolerance, values};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for dtype in activations() {
        trials.push(Trial::test(format!("to_rgba.activations_{dtype}"), move || {
            for shape in [Shape::image(1, 1, 1, 4), Shape::image(2, 9, 7, 4), Shape::image(1, 37, 41, 4)] {
                // All eighths of ±2 are halves of bytes or near, the rest falls anywhere.
                let mut x = values(1, shape.elements(), 1.0);
                x.iter_mut().enumerate().step_by(3).for_each(|(i, x)| *x = (i % 33) as f32 / 8.0 - 2.0);
                let inputs = [Input::elements(&x, dtype), Input::words(&vec![1; shape.rows()])];
                let [expected, actual] = both_aftermaths(dtype, &inputs, 1, &|recorder, inputs| {
                    let x = tensor(recorder, &inputs[0], shape)?;
                    to_rgba(recorder, x, &inputs[1])
                })?;
                same_bytes(&expected, &actual, 0)?;
            }
            Ok(())
        }));
        trials.push(Trial::test(format!("from_rgba.activations_{dtype}"), move || {
            let bytes: Vec<u8> = (0..4 * 3 * 5 * 19).map(|i| (i * 37 % 256) as u8).collect();
            agree(dtype, &[Input(bytes)], tolerance(dtype), &|recorder, inputs| {
                from_rgba(recorder, &inputs[0], 3, 5, 19)
            })
        }));
    }
    trials.push(Trial::test("preview", || {
        for (shape, padded) in [
            (Shape::image(1, 1, 1, 4), 4),
            (Shape::image(2, 9, 7, 4), 4),
            (Shape::image(1, 8, 5, 3), 4),
            (Shape::image(1, 8, 8, 16), 16),
        ] {
            let inputs = [
                Input::floats(&values(1, 3 * shape.rows() * padded, 1.0)),
                Input::floats(&values(2, 3 * (shape.channels + 1), 0.3)),
                Input::words(&vec![1; shape.rows()]),
            ];
            let [expected, actual] = both_aftermaths(darkroom::tensor::DType::F32, &inputs, 2, &|recorder, inputs| {
                preview(recorder, &inputs[0], shape, &inputs[1], &inputs[2])
            })?;
            // Sums in another order may fall on the other side of a half.
            same_bytes(&expected, &actual, 1)?;
        }
        Ok(())
    }));
    trials
}

fn same_bytes(expected: &[u8], actual: &[u8], allowed: u8) -> Result<(), Failed> {
    let worst =
        expected.iter().zip(actual).map(|(e, a)| e.abs_diff(*a)).enumerate().max_by_key(|(_, difference)| *difference);
    match worst {
        Some((index, difference)) if difference > allowed || expected.len() != actual.len() => {
            Err(format!("byte {index} is {} instead of {}", actual[index], expected[index]).into())
        }
        _ => Ok(()),
    }
}
