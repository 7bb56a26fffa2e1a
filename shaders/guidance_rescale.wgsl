// For each image the standard deviation of the output with the prompt over that of the guided one, a workgroup per image.
import package::shared::guidance::{params, network, settings, only_channels, conditioned, unconditioned, combined};
@if(activations_f16) enable f16;

@group(0) @binding(3) var<storage, read_write> ratios: array<f32>; // [images]

const WORKGROUP = 256u;
var<workgroup> sums: array<vec2<f32>, WORKGROUP>;

fn sum_all(local: u32, value: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    sums[local] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if local < half {
            sums[local] += sums[local + half];
        }
        workgroupBarrier();
    }
    return sums[0];
}

fn total(v: vec4<f32>) -> f32 {
    return v.x + v.y + v.z + v.w;
}

@compute @workgroup_size(WORKGROUP)
fn guidance_rescale(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = group.x * params.positions;
    let vectors = params.positions * params.columns;
    let count = f32(params.positions * params.channels);
    var sum = vec2<f32>();
    for (var i = local; i < vectors; i += WORKGROUP) {
        let with_prompt = conditioned(first + i / params.columns, i % params.columns);
        let without_prompt = unconditioned(first + i / params.columns, i % params.columns);
        sum += vec2(total(with_prompt), total(combined(with_prompt, without_prompt)));
    }
    let mean = sum_all(local, sum) / count;
    var squares = vec2<f32>();
    for (var i = local; i < vectors; i += WORKGROUP) {
        let column = i % params.columns;
        let with_prompt = conditioned(first + i / params.columns, column);
        let without_prompt = unconditioned(first + i / params.columns, column);
        let a = only_channels(column, with_prompt - mean.x);
        let b = only_channels(column, combined(with_prompt, without_prompt) - mean.y);
        squares += vec2(dot(a, a), dot(b, b));
    }
    squares = sum_all(local, squares);
    if local == 0u {
        // Both variances have the same divisor. A constant output needs no factor.
        var ratio = 1.0;
        if squares.y > 0.0 {
            ratio = sqrt(squares.x / squares.y);
        }
        ratios[group.x] = ratio;
    }
}
