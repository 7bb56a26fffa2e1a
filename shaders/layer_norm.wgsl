// Layer normalisation: a workgroup per row, the row's first 2048 channels in registers; wider rows read the rest anew.
import package::shared::element::{Element4};
@if(activations_f16) enable f16;

struct Params {
    rows: u32,
    columns: u32, // channels / 4
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element4>; // [rows][columns]
@group(0) @binding(2) var<storage, read> scale: array<vec4<f32>>; // [columns]
@group(0) @binding(3) var<storage, read> shift: array<vec4<f32>>; // [columns]
@group(0) @binding(4) var<storage, read_write> y: array<Element4>; // [rows][columns]

const WORKGROUP = 64u;
const HELD = 8u;
var<workgroup> parts: array<f32, WORKGROUP>;
var<workgroup> sums: array<f32, 8>;

// The sum over all invocations of the sum of four values.
fn sum_all(local: u32, value: vec4<f32>) -> f32 {
    parts[local] = value.x + value.y + value.z + value.w;
    workgroupBarrier();
    if local < 8u {
        var sum = 0.0;
        for (var i = 0u; i < 8u; i++) {
            sum += parts[i * 8u + local];
        }
        sums[local] = sum;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < 8u; i++) {
        sum += sums[i];
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn layer_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // More than 65535 rows spill into the second dimension; what is beyond the last row repeats it without storing.
    let row = group.y * groups.x + group.x;
    let start = min(row, params.rows - 1u) * params.columns;
    let channels = f32(params.columns * 4u);

    var held: array<vec4<f32>, HELD>;
    var sum = vec4<f32>();
    for (var j = 0u; j < HELD; j++) {
        let column = j * WORKGROUP + local;
        if column < params.columns {
            held[j] = vec4<f32>(x[start + column]);
            sum += held[j];
        }
    }
    for (var column = HELD * WORKGROUP + local; column < params.columns; column += WORKGROUP) {
        sum += vec4<f32>(x[start + column]);
    }
    let mean = sum_all(local, sum) / channels;

    var squares = vec4<f32>();
    for (var j = 0u; j < HELD; j++) {
        if j * WORKGROUP + local < params.columns {
            held[j] -= mean;
            squares += held[j] * held[j];
        }
    }
    for (var column = HELD * WORKGROUP + local; column < params.columns; column += WORKGROUP) {
        let difference = vec4<f32>(x[start + column]) - mean;
        squares += difference * difference;
    }
    let factor = inverseSqrt(sum_all(local, squares) / channels + params.epsilon);

    if row < params.rows {
        for (var j = 0u; j < HELD; j++) {
            let column = j * WORKGROUP + local;
            if column < params.columns {
                y[start + column] = Element4(held[j] * factor * scale[column] + shift[column]);
            }
        }
        for (var column = HELD * WORKGROUP + local; column < params.columns; column += WORKGROUP) {
            let difference = vec4<f32>(x[start + column]) - mean;
            y[start + column] = Element4(difference * factor * scale[column] + shift[column]);
        }
    }
}
