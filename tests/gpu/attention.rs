//! `attention`, `attention_split` and `attention_direct` against their twin.

use darkroom::ops::attention::{Choice, Slice, attention_with, choose};
use darkroom::record::Capabilities;
use darkroom::tensor::{DType, Shape};
use libtest_mimic::{Failed, Trial};

use crate::harness::{Input, activations, agree, tensor, tolerance, values};

/// Batch, heads, head size, query and key tokens, causal.
type Case = (usize, usize, usize, Shape, usize, bool);

const ROWS: [(&str, &[usize]); 6] = [
    ("head_32", &[4, 8, 32]),
    ("head_40", &[36, 40]),
    ("head_64", &[44, 64]),
    ("head_80", &[72, 80]),
    ("head_160", &[84, 128, 160]),
    ("head_512", &[164, 512]),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for dtype in activations() {
        for (feature, sizes) in ROWS {
            for &size in sizes {
                let choice = choose(size, &Capabilities::baseline()).unwrap();
                assert_eq!(choice.head_feature, Some(feature));
                let name = format!("{}.activations_{dtype}.{feature}.size_{size}", choice.kernel);
                trials.push(Trial::test(name, move || {
                    cases(size).into_iter().try_for_each(|case| check(dtype, choice, case))
                }));
            }
        }
        let direct = Choice { kernel: "attention_direct", head_feature: None, rows: 32, band: usize::MAX };
        trials.push(Trial::test(format!("attention_direct.activations_{dtype}"), move || {
            [4, 40, 160, 512].into_iter().flat_map(cases).try_for_each(|case| check(dtype, direct, case))
        }));
        let split = Choice { kernel: "attention_split", head_feature: Some("head_160"), rows: 32, band: usize::MAX };
        trials.push(Trial::test(format!("attention_split.activations_{dtype}.head_160.small"), move || {
            [4, 20, 40].into_iter().flat_map(cases).try_for_each(|case| check(dtype, split, case))
        }));
    }
    trials
}

fn cases(size: usize) -> Vec<Case> {
    let heads = if size > 160 { 1 } else { 3 };
    vec![
        (1, 1, size, Shape::tokens(1, 1, 0), 1, false),
        (2, heads, size, Shape::image(2, 9, 7, 0), 63, false),
        (2, heads, size, Shape::image(2, 13, 10, 0), 77, false),
        (1, 2, size, Shape::tokens(1, 77, 0), 77, true),
        (1, 1, size, Shape::tokens(1, 131, 0), 131, true),
        (1, heads, size, Shape::tokens(1, 5, 0), 18, false),
    ]
}

/// Self-attention reads queries, keys and values out of one tensor; cross-attention out of two.
fn check(dtype: DType, choice: Choice, (batch, heads, size, queries, keys, causal): Case) -> Result<(), Failed> {
    let width = heads * size;
    let fused = queries.positions() == keys;
    let scale = 1.0 / (size as f32).sqrt();
    // An offset shows whether anything reads the wrong slice; the spread makes weights differ by orders of magnitude.
    let query_shape = queries.with_channels(if fused { 3 * width + 4 } else { width });
    let key_shape = Shape::tokens(batch, keys, 2 * width);
    let inputs = [
        Input::elements(&values(1, query_shape.elements(), 1.5), dtype),
        Input::elements(&values(2, key_shape.elements(), 1.5), dtype),
    ];
    // Once in one dispatch, once in one for each row of workgroups.
    for band in [usize::MAX, 1] {
        let choice = Choice { band, ..choice };
        agree(dtype, &inputs, tolerance(dtype), &|recorder, inputs| {
            let first = tensor(recorder, &inputs[0], query_shape)?;
            let second = tensor(recorder, &inputs[1], key_shape)?;
            let [query, key, value] = if fused {
                [4, width + 4, 2 * width + 4].map(|first_channel| Slice { tensor: first, first_channel })
            } else {
                [Slice::from(first), Slice::from(second), Slice { tensor: second, first_channel: width }]
            };
            attention_with(recorder, choice, query, key, value, heads, size, scale, causal)
        })
        .map_err(|failed| {
            Failed::from(format!("{batch}×{heads}×{size}, {queries} on {keys}, causal {causal}: {failed:?}"))
        })?;
    }
    Ok(())
}
