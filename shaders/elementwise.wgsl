// y = activation(scale · x + other): one invocation per vec4.
import package::shared::element::{Element4};
import package::shared::activation::{activate};
@if(activations_f16) enable f16;

struct Params {
    vectors: u32,       // elements / 4
    activation: u32,    // ACTIVATION_*
    has_other: u32,     // 1: add `other`
    scale: f32,
    x_first: u32,       // vectors to skip
    y_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element4>; // [vectors]
@group(0) @binding(2) var<storage, read> other: array<Element4>; // [vectors] or absent
@group(0) @binding(3) var<storage, read_write> y: array<Element4>; // [vectors]

const WORKGROUP = 256u;

@compute @workgroup_size(WORKGROUP)
fn elementwise(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // More than 65535 workgroups spill into the second dimension.
    let i = (group.y * groups.x + group.x) * WORKGROUP + local;
    if i >= params.vectors {
        return;
    }
    var value = params.scale * vec4<f32>(x[params.x_first + i]);
    if params.has_other != 0u {
        value += vec4<f32>(other[i]);
    }
    y[params.y_first + i] = Element4(activate(params.activation, value));
}
