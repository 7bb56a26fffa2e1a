//! `elementwise` against its twin.

use darkroom::ops::elementwise::{Activation, activate, add, copy_entries, scale};
use darkroom::tensor::{DType, Shape};
use libtest_mimic::Trial;

use crate::harness::{Input, activations, agree, tensor, tolerance, values};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for dtype in activations() {
        let name = format!("elementwise.activations_{dtype}");
        trials.push(Trial::test(name, move || {
            for shape in [Shape::tokens(1, 1, 4), Shape::image(2, 9, 7, 20), Shape::tokens(3, 77, 128)] {
                for activation in
                    [Activation::None, Activation::Silu, Activation::Gelu, Activation::QuickGelu, Activation::GeluTanh]
                {
                    agree(dtype, &operands(shape, dtype), tolerance(dtype), &|recorder, inputs| {
                        let a = tensor(recorder, &inputs[0], shape)?;
                        let b = tensor(recorder, &inputs[1], shape)?;
                        let sum = add(recorder, a, b)?;
                        let scaled = scale(recorder, sum, 0.75)?;
                        activate(recorder, scaled, activation)
                    })?;
                }
            }
            Ok(())
        }));
    }
    trials.extend(activations().into_iter().map(|dtype| {
        Trial::test(format!("elementwise.copy_entries.activations_{dtype}"), move || {
            let shape = Shape::tokens(4, 77, 20);
            agree(dtype, &operands(shape, dtype), tolerance(dtype), &|recorder, inputs| {
                let a = tensor(recorder, &inputs[0], shape)?;
                let b = tensor(recorder, &inputs[1], shape)?;
                let mixed = recorder.tensor("mixed", shape)?;
                copy_entries(recorder, a, 1..4, mixed, 0)?;
                copy_entries(recorder, b, 0..1, mixed, 3)?;
                Ok(mixed)
            })
        })
    }));
    trials
}

fn operands(shape: Shape, dtype: DType) -> [Input; 2] {
    [1, 2].map(|seed| Input::elements(&values(seed, shape.elements(), 2.0), dtype))
}
