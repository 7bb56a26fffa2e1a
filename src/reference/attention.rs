//! Twin of `shaders/attention.wgsl`, `attention_split.wgsl` and `attention_direct.wgsl`, which compute the same.

use crate::error::Result;
use crate::record::catalogue::parameters::AttentionParams;
use crate::reference::Invocation;

/// softmax(scale · Q Kᵀ) V, row by row: scores, maximum, weights, weighted sum of the values.
pub fn attention(invocation: &mut Invocation) -> Result<()> {
    // The three kernels' Params have the same fields.
    let params: AttentionParams = invocation.parameters()?;
    let query = invocation.elements("query")?;
    let key = invocation.elements("key")?;
    let value = invocation.elements("value")?;
    let mut result = invocation.elements("result")?;
    let [_, heads, batch] = invocation.workgroups();
    let size = params.head_vectors * 4;
    let start = |first: u32, stride: u32, token: u32, head: u32| (4 * (token * stride + first) + head * size) as usize;
    for entry in 0..batch {
        for head in 0..heads {
            for token in params.first_query..params.end_query {
                let q = start(params.query_first, params.query_stride, entry * params.query_tokens + token, head);
                let visible = if params.causal != 0 { params.key_tokens.min(token + 1) } else { params.key_tokens };
                let scores: Vec<f64> = (0..visible)
                    .map(|other| {
                        let k = start(params.key_first, params.key_stride, entry * params.key_tokens + other, head);
                        let products = (0..size as usize).map(|d| f64::from(query[q + d]) * f64::from(key[k + d]));
                        products.sum::<f64>() * f64::from(params.scale)
                    })
                    .collect();
                let maximum = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - maximum).exp2()).collect();
                let total: f64 = weights.iter().sum();
                let mut sums = vec![0.0; size as usize];
                for (other, weight) in (0..visible).zip(&weights) {
                    let v = start(params.value_first, params.value_stride, entry * params.key_tokens + other, head);
                    for (sum, x) in sums.iter_mut().zip(&value[v..]) {
                        *sum += weight * f64::from(*x);
                    }
                }
                let out = start(0, params.result_stride, entry * params.query_tokens + token, head);
                for (y, sum) in result[out..].iter_mut().zip(sums) {
                    *y = (sum / total) as f32;
                }
            }
        }
    }
    invocation.store_elements("result", &result)
}
