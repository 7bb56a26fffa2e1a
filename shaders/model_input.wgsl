// The network's input out of the sample register: scaled, in the activations' type, once per copy that guidance needs.
import package::shared::element::{Element4};
@if(activations_f16) enable f16;

struct Params {
    vectors: u32,  // of the register
    copies: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> program: array<vec4<f32>>; // the first one's y is the scale
@group(0) @binding(2) var<storage, read> state: array<vec4<f32>>; // [vectors], the sample comes first
@group(0) @binding(3) var<storage, read_write> y: array<Element4>; // [copies][vectors]

const WORKGROUP = 64u;

@compute @workgroup_size(WORKGROUP)
fn model_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + local;
    if i >= params.vectors {
        return;
    }
    let input = Element4(program[0].y * state[i]);
    for (var copy = 0u; copy < params.copies; copy++) {
        y[copy * params.vectors + i] = input;
    }
}
