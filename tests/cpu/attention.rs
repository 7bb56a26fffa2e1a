//! Attention's twin against its definition, the choice of kernels, refused shapes.

use darkroom::error::ErrorKind;
use darkroom::ops::attention::{MAX_HEAD_SIZE, Slice, attention, choose};
use darkroom::record::Capabilities;
use darkroom::tensor::Shape;

use crate::bench::{Bench, assert_close, values};

#[test]
fn attention_is_softmax_of_scores_times_values() {
    let (batch, heads, size, queries, keys) = (2, 3, 4, 5, 7);
    let width = heads * size;
    let (query_shape, key_shape) = (Shape::tokens(batch, queries, width), Shape::tokens(batch, keys, 2 * width + 4));
    let (q, kv) = (values(1, query_shape.elements()), values(2, key_shape.elements()));
    let mut bench = Bench::new();
    let query = bench.tensor(query_shape, &q).into();
    let both = bench.tensor(key_shape, &kv);
    // Values come first here, keys behind a gap.
    let key = Slice { tensor: both, first_channel: width + 4 };
    let result = attention(&mut bench.recorder, query, key, both.into(), heads, size, 0.7, false);
    let actual = bench.result(result);

    let mut expected = vec![0.0; actual.len()];
    for b in 0..batch {
        for h in 0..heads {
            for i in 0..queries {
                let q = |d: usize| f64::from(q[(b * queries + i) * width + h * size + d]);
                let kv = |j: usize, first: usize, d: usize| {
                    f64::from(kv[(b * keys + j) * (2 * width + 4) + first + h * size + d])
                };
                let weights: Vec<f64> = (0..keys)
                    .map(|j| (0.7 * (0..size).map(|d| q(d) * kv(j, width + 4, d)).sum::<f64>()).exp())
                    .collect();
                let total: f64 = weights.iter().sum();
                for d in 0..size {
                    expected[(b * queries + i) * width + h * size + d] =
                        (0..keys).map(|j| weights[j] / total * kv(j, 0, d)).sum();
                }
            }
        }
    }
    assert_close(&actual, &expected, 1e-6);
}

#[test]
fn causal_attention_sees_the_past() {
    // Equal scores average the values seen so far.
    let shape = Shape::tokens(1, 3, 4);
    let mut bench = Bench::new();
    let zeros = bench.tensor(shape, &[0.0; 12]).into();
    let ramp: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let value = bench.tensor(shape, &ramp).into();
    let result = attention(&mut bench.recorder, zeros, zeros, value, 1, 4, 1.0, true);
    let expected = [0.0, 1.0, 2.0, 3.0, 2.0, 3.0, 4.0, 5.0, 4.0, 5.0, 6.0, 7.0];
    assert_close(&bench.result(result), &expected, 1e-6);
}

#[test]
fn attention_kernels_are_chosen_by_head_size() {
    let gpu = Capabilities::baseline();
    let cpu = Capabilities { software: true, ..gpu.clone() };
    for (size, kernel, feature) in [
        (4, "attention", "head_32"),
        (32, "attention", "head_32"),
        (36, "attention", "head_40"),
        (40, "attention", "head_40"),
        (44, "attention_split", "head_64"),
        (64, "attention_split", "head_64"),
        (72, "attention_split", "head_80"),
        (80, "attention_split", "head_80"),
        (84, "attention_split", "head_160"),
        (160, "attention_split", "head_160"),
        (164, "attention_split", "head_512"),
        (512, "attention_split", "head_512"),
    ] {
        let choice = choose(size, &gpu).unwrap();
        assert_eq!((choice.kernel, choice.head_feature), (kernel, Some(feature)), "{size}");
        assert_eq!(choose(size, &cpu).unwrap().kernel, "attention_direct");
    }
    for size in [0, 6, MAX_HEAD_SIZE + 4] {
        assert_eq!(choose(size, &gpu).unwrap_err().kind, ErrorKind::Unsupported);
    }
}

#[test]
fn attention_refuses_what_does_not_fit() {
    let mut bench = Bench::new();
    let x = bench.tensor(Shape::tokens(1, 5, 16), &[0.0; 80]);
    let shorter = bench.tensor(Shape::tokens(1, 3, 16), &[0.0; 48]);
    let recorder = &mut bench.recorder;
    let slice = |first_channel| Slice { tensor: x, first_channel };
    let (x, shorter) = (Slice::from(x), Slice::from(shorter));
    for result in [
        attention(recorder, slice(8), x, x, 3, 4, 1.0, false),
        attention(recorder, slice(2), x, x, 1, 4, 1.0, false),
        attention(recorder, x, x, shorter, 4, 4, 1.0, false),
        attention(recorder, x, shorter, shorter, 4, 4, 1.0, true),
        attention(recorder, x, x, x, 0, 4, 1.0, false),
    ] {
        assert_eq!(result.unwrap_err().kind, ErrorKind::Internal);
    }
    assert!(attention(recorder, x, shorter, shorter, 4, 4, 1.0, false).is_ok());
}
