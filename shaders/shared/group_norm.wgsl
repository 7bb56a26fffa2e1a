// What the variants of `group_norm` share: parameters, inputs, and sums over the groups of a slab.
import package::shared::element::{Element4};

struct Params {
    positions: u32,
    columns: u32,           // vec4s of a position of `x`
    second_columns: u32,    // and of `second`, 0 if absent
    groups: u32,
    group_channels: u32,
    slab_columns: u32,      // at most WORKGROUP
    chunk_positions: u32,   // positions that a workgroup of this dispatch handles
    moment_chunks: u32,     // chunks in `moments`
    moment_positions: u32,  // positions in each of them but the last
    activation: u32,        // ACTIVATION_*
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element4>; // [batch][positions][columns]
@group(0) @binding(2) var<storage, read> second: array<Element4>; // [batch][positions][second_columns] or absent

const WORKGROUP = 256u;
var<workgroup> sums: array<vec4<f32>, WORKGROUP>;
// Of each group of the slab: mean, then 1 / standard deviation (`statistics`: sum of squared deviations).
var<workgroup> group_moments: array<vec2<f32>, WORKGROUP>;

fn load(row: u32, column: u32) -> vec4<f32> {
    if column < params.columns {
        return vec4<f32>(x[row * params.columns + column]);
    }
    return vec4<f32>(second[row * params.second_columns + column - params.columns]);
}

// Sums `value` over the invocations of each column, then over each group's channels; the result is the invocation's
// whose number is the group's within the slab.
fn sum_groups(local: u32, lanes: u32, value: vec4<f32>) -> f32 {
    workgroupBarrier();
    sums[local] = value;
    workgroupBarrier();
    if local < params.slab_columns {
        var sum = value;
        for (var lane = 1u; lane < lanes; lane++) {
            sum += sums[lane * params.slab_columns + local];
        }
        sums[local] = sum;
    }
    workgroupBarrier();
    var sum = 0.0;
    if local < params.slab_columns * 4u / params.group_channels {
        for (var channel = local * params.group_channels; channel < (local + 1u) * params.group_channels; channel++) {
            sum += sums[channel / 4u][channel % 4u];
        }
    }
    return sum;
}
