//! The norms' twins against their definitions, the cutting of group normalisation, refused shapes.

use darkroom::error::ErrorKind;
use darkroom::ops::elementwise::Activation;
use darkroom::ops::norm::{self, group_norm, group_norm_with, layer_norm};
use darkroom::tensor::Shape;

use crate::bench::{Bench, assert_close, values};

#[test]
fn group_norm_is_what_pytorch_defines() {
    let (batch, positions, first, second, groups) = (2, 6, 8, 4, 4);
    let channels = first + second;
    let a = values(1, batch * positions * first);
    let b = values(2, batch * positions * second);
    let (scale, shift) = (values(3, channels), values(4, channels));
    let at = |n: usize, p: usize, c: usize| {
        let row = n * positions + p;
        f64::from(if c < first { a[row * first + c] } else { b[row * second + c - first] })
    };
    let mut expected = Vec::new();
    for n in 0..batch {
        for p in 0..positions {
            for c in 0..channels {
                let group =
                    c / (channels / groups) * (channels / groups)..(c / (channels / groups) + 1) * (channels / groups);
                let all: Vec<f64> =
                    group.flat_map(|c| (0..positions).map(move |p| (p, c))).map(|(p, c)| at(n, p, c)).collect();
                let mean = all.iter().sum::<f64>() / all.len() as f64;
                let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / all.len() as f64;
                let x = (at(n, p, c) - mean) / (variance + 1e-3).sqrt() * f64::from(scale[c]) + f64::from(shift[c]);
                expected.push(x / (1.0 + (-x).exp()));
            }
        }
    }
    let chunks = Some(norm::Chunks { count: 2, positions: 4, apply_positions: 5 });
    for plan in [norm::GroupNormPlan { slab_columns: 3, chunks: None }, norm::GroupNormPlan { slab_columns: 3, chunks }]
    {
        let mut bench = Bench::new();
        let x = bench.tensor(Shape::image(batch, 2, 3, first), &a);
        let other = Some(bench.tensor(Shape::image(batch, 2, 3, second), &b));
        let (scale, shift) = (bench.floats(&scale), bench.floats(&shift));
        let result =
            group_norm_with(&mut bench.recorder, plan, x, other, &scale, &shift, groups, 1e-3, Activation::Silu);
        assert_close(&bench.result(result), &expected, 2e-6);
    }
}

#[test]
fn group_norm_slabs_hold_whole_groups_and_chunks_cover_all_positions() {
    for group_channels in [1, 2, 3, 4, 5, 10, 15, 20, 30, 40, 80, 255, 256, 512, 1024] {
        for groups in [4, 8, 32] {
            for positions in [1, 63, 64, 1024, 4096, 262_144] {
                let columns = groups * group_channels / 4;
                let plan = norm::choose(positions, columns, group_channels).unwrap();
                let case = format!("{groups} groups of {group_channels}, {positions} positions: {plan:?}");
                assert!((1..=256).contains(&plan.slab_columns), "{case}");
                assert_eq!(plan.slab_columns * 4 % group_channels, 0, "{case}");
                let Some(chunks) = plan.chunks else {
                    assert!(positions * plan.slab_columns <= 8192, "{case}");
                    continue;
                };
                assert_eq!(chunks.count, positions.div_ceil(chunks.positions), "{case}");
                assert!(chunks.count <= 64 && positions.div_ceil(chunks.apply_positions) <= 65535, "{case}");
            }
        }
    }
    assert_eq!(norm::choose(64, 320, 40).unwrap(), norm::GroupNormPlan { slab_columns: 10, chunks: None });
    assert_eq!(norm::choose(4096, 80, 10).unwrap().slab_columns, 20);
    assert_eq!(norm::choose(64, 1, 1026).unwrap_err().kind, ErrorKind::Unsupported);
    let mut bench = Bench::new();
    let x = bench.tensor(Shape::tokens(1, 2, 8), &[0.0; 16]);
    let vector = bench.floats(&[0.0; 8]);
    let odd = group_norm(&mut bench.recorder, x, None, &vector, &vector, 3, 1e-5, Activation::None);
    assert_eq!(odd.unwrap_err().kind, ErrorKind::Unsupported);
    let none = group_norm(&mut bench.recorder, x, None, &vector, &vector, 0, 1e-5, Activation::None);
    assert_eq!(none.unwrap_err().kind, ErrorKind::Unsupported);
    let short = bench.floats(&[0.0; 4]);
    let result = group_norm(&mut bench.recorder, x, None, &vector, &short, 2, 1e-5, Activation::None);
    assert_eq!(result.unwrap_err().kind, ErrorKind::Internal);
}

#[test]
fn layer_norm_normalises_rows() {
    let (rows, channels) = (5, 12);
    let x: Vec<f32> = values(1, rows * channels).iter().map(|x| x + 3.0).collect();
    let (scale, shift) = (values(2, channels), values(3, channels));
    let mut expected = Vec::new();
    for row in x.chunks_exact(channels) {
        let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / channels as f64;
        let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / channels as f64;
        for (c, x) in row.iter().enumerate() {
            expected
                .push((f64::from(*x) - mean) / (variance + 1e-2).sqrt() * f64::from(scale[c]) + f64::from(shift[c]));
        }
    }
    let mut bench = Bench::new();
    let tensor = bench.tensor(Shape::tokens(1, rows, channels), &x);
    let (scale, shift) = (bench.floats(&scale), bench.floats(&shift));
    let result = layer_norm(&mut bench.recorder, tensor, &scale, &shift, 1e-2);
    assert_close(&bench.result(result), &expected, 2e-6);
}
