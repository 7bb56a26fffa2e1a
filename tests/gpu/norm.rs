//! `group_norm` and `layer_norm` against their twins.

use darkroom::ops::elementwise::Activation;
use darkroom::ops::norm::{Chunks, GroupNormPlan, choose, group_norm, group_norm_with, layer_norm};
use darkroom::tensor::{DType, Shape};
use libtest_mimic::{Failed, Trial};

use crate::harness::{Input, activations, agree, tensor, tolerance, values};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for dtype in activations() {
        let name = format!("group_norm.activations_{dtype}.whole");
        trials.push(Trial::test(name, move || {
            for (shape, second, groups) in group_cases() {
                let unit = choose(1, 1, (shape.channels + second) / groups)?.slab_columns;
                let plan = GroupNormPlan { slab_columns: unit, chunks: None };
                check_group(dtype, Some(plan), shape, second, groups, 0.0)?;
            }
            Ok(())
        }));
        let name = format!("group_norm.activations_{dtype}.statistics_and_apply");
        trials.push(Trial::test(name, move || {
            for (shape, second, groups) in group_cases() {
                let unit = choose(1, 1, (shape.channels + second) / groups)?.slab_columns;
                for (positions, apply_positions) in [(1, 3), (5, 2), (1000, 7)] {
                    let positions = positions.min(shape.positions());
                    let count = shape.positions().div_ceil(positions);
                    let chunks = Some(Chunks { count, positions, apply_positions });
                    let slab_columns = if unit <= 8 { unit * 2 } else { unit };
                    check_group(dtype, Some(GroupNormPlan { slab_columns, chunks }), shape, second, groups, 0.0)?;
                }
            }
            Ok(())
        }));
        let name = format!("group_norm.activations_{dtype}.chosen_for_large");
        trials.push(Trial::test(name, move || {
            check_group(dtype, None, Shape::image(1, 57, 60, 320), 0, 32, 0.0)?;
            check_group(dtype, None, Shape::image(2, 41, 45, 64), 128, 32, 0.0)
        }));
        let name = format!("group_norm.activations_{dtype}.mean_far_from_zero");
        trials.push(Trial::test(name, move || {
            check_group(dtype, None, Shape::image(1, 16, 16, 32), 0, 4, 100.0)?;
            check_group(dtype, None, Shape::image(1, 128, 130, 32), 0, 4, 100.0)
        }));
        let name = format!("layer_norm.activations_{dtype}");
        trials.push(Trial::test(name, move || {
            for shape in [
                Shape::tokens(1, 1, 4),
                Shape::image(2, 9, 7, 20),
                Shape::tokens(1, 77, 768),
                Shape::tokens(2, 3, 320),
                Shape::tokens(1, 2, 2048),
                Shape::tokens(1, 3, 2052),
                Shape::tokens(1, 2, 5000),
            ] {
                check_layer(dtype, shape, 0.0)?;
            }
            // More rows than a dimension has workgroups.
            check_layer(dtype, Shape::tokens(1, 65600, 4), 0.0)?;
            check_layer(dtype, Shape::tokens(1, 5, 2500), 100.0)
        }));
    }
    trials
}

/// Shape, channels of the second input, groups: groups of 1, 2, 3, 4, 10, 15, 20, 40 and 1024 channels.
fn group_cases() -> Vec<(Shape, usize, usize)> {
    vec![
        (Shape::image(1, 1, 1, 4), 0, 1),
        (Shape::image(2, 1, 1, 8), 0, 1),
        (Shape::image(1, 9, 7, 12), 0, 12),
        (Shape::image(1, 5, 4, 16), 0, 8),
        (Shape::image(2, 9, 7, 12), 0, 4),
        (Shape::image(1, 8, 8, 32), 16, 12),
        (Shape::image(2, 13, 5, 320), 0, 32),
        (Shape::image(1, 3, 7, 60), 0, 4),
        (Shape::image(1, 6, 6, 320), 320, 32),
        (Shape::image(1, 4, 4, 640), 320, 32),
        (Shape::image(1, 2, 3, 1280), 0, 32),
        (Shape::image(1, 3, 3, 1024), 0, 1),
        // The border between the inputs cuts a group.
        (Shape::image(2, 4, 3, 4), 8, 2),
    ]
}

fn check_group(
    dtype: DType,
    plan: Option<GroupNormPlan>,
    shape: Shape,
    second: usize,
    groups: usize,
    offset: f32,
) -> Result<(), Failed> {
    let channels = shape.channels + second;
    let shifted = |seed, count| -> Vec<f32> { values(seed, count, 2.0).iter().map(|x| x + offset).collect() };
    let inputs = [
        Input::elements(&shifted(1, shape.elements()), dtype),
        Input::elements(&shifted(2, shape.with_channels(second.max(4)).elements()), dtype),
        Input::floats(&values(3, channels, 1.0)),
        Input::floats(&values(4, channels, 1.0)),
    ];
    let activation = if groups.is_multiple_of(2) { Activation::Silu } else { Activation::None };
    agree(dtype, &inputs, tolerance(dtype), &|recorder, inputs| {
        let x = tensor(recorder, &inputs[0], shape)?;
        let second = match second {
            0 => None,
            channels => Some(tensor(recorder, &inputs[1], shape.with_channels(channels))?),
        };
        let (scale, shift) = (&inputs[2], &inputs[3]);
        match plan {
            Some(plan) => group_norm_with(recorder, plan, x, second, scale, shift, groups, 1e-5, activation),
            None => group_norm(recorder, x, second, scale, shift, groups, 1e-5, activation),
        }
    })
    .map_err(|failed| format!("{shape} + {second}, {groups} groups, {plan:?}: {failed:?}").into())
}

fn check_layer(dtype: DType, shape: Shape, offset: f32) -> Result<(), Failed> {
    let x: Vec<f32> = values(1, shape.elements(), 2.0).iter().map(|x| x + offset).collect();
    let inputs = [
        Input::elements(&x, dtype),
        Input::floats(&values(2, shape.channels, 1.0)),
        Input::floats(&values(3, shape.channels, 1.0)),
    ];
    agree(dtype, &inputs, tolerance(dtype), &|recorder, inputs| {
        let x = tensor(recorder, &inputs[0], shape)?;
        layer_norm(recorder, x, &inputs[1], &inputs[2], 1e-5)
    })
    .map_err(|failed| format!("{shape}: {failed:?}").into())
}
