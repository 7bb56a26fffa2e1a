// Parameters and bindings that the attention kernels share: `attention` (a row per invocation), `attention_split` (a row
// over several invocations) and `attention_direct` (without workgroup memory).
import package::shared::element::{Element4};

struct Params {
    query_tokens: u32,
    key_tokens: u32,
    head_vectors: u32,  // head size / 4
    query_stride: u32,  // a token's vec4s in `query`
    query_first: u32,   // the first head's first vec4 within them
    key_stride: u32,
    key_first: u32,
    value_stride: u32,
    value_first: u32,
    result_stride: u32,
    causal: u32,        // 1: a query sees the keys up to its own position
    scale: f32,         // times log2(e), so that weights are powers of two
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<Element4>; // [batch][query_tokens][query_stride]
@group(0) @binding(2) var<storage, read> key: array<Element4>; // [batch][key_tokens][key_stride]
@group(0) @binding(3) var<storage, read> value: array<Element4>; // [batch][key_tokens][value_stride]
@group(0) @binding(4) var<storage, read_write> result: array<Element4>; // [batch][query_tokens][result_stride]

// Below every score, and finite: a difference of two infinities would be NaN.
const LOWEST = -3.0e38;

// Where a head's first vec4 of a token's row lies.
fn query_start(batch: u32, head: u32, token: u32) -> u32 {
    return (batch * params.query_tokens + token) * params.query_stride + params.query_first + head * params.head_vectors;
}

fn key_start(batch: u32, head: u32, token: u32) -> u32 {
    return (batch * params.key_tokens + token) * params.key_stride + params.key_first + head * params.head_vectors;
}

fn value_start(batch: u32, head: u32, token: u32) -> u32 {
    return (batch * params.key_tokens + token) * params.value_stride + params.value_first + head * params.head_vectors;
}

fn result_start(batch: u32, head: u32, token: u32) -> u32 {
    return (batch * params.query_tokens + token) * params.result_stride + head * params.head_vectors;
}

// How many keys a query sees.
fn visible_keys(token: u32) -> u32 {
    return select(params.key_tokens, min(params.key_tokens, token + 1u), params.causal != 0u);
}

// Scores of the keys token, token + 1, token + 2, token + 3, those that the query does not see at the bottom.
fn masked(scores: vec4<f32>, token: u32, visible: u32) -> vec4<f32> {
    return select(vec4(LOWEST), scores, vec4(token) + vec4(0u, 1u, 2u, 3u) < vec4(visible));
}

// Four vec4s' sums.
fn totals(s0: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, s3: vec4<f32>) -> vec4<f32> {
    let low = vec4(s0.xy + s0.zw, s1.xy + s1.zw);
    let high = vec4(s2.xy + s2.zw, s3.xy + s3.zw);
    return vec4(low.x + low.y, low.z + low.w, high.x + high.y, high.z + high.w);
}

fn largest(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}
