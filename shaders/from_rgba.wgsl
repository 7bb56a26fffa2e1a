// Packed bytes to a picture of ±1 for the encoder, one pixel per invocation; alpha is dropped.
import package::shared::element::{Element4};
@if(activations_f16) enable f16;

struct Params {
    pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rgba: array<u32>; // [pixels]
@group(0) @binding(2) var<storage, read_write> y: array<Element4>; // [pixels]: red, green, blue, zero

const WORKGROUP = 256u;

@compute @workgroup_size(WORKGROUP)
fn from_rgba(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + local;
    if i < params.pixels {
        let bytes = vec3(rgba[i], rgba[i] >> 8u, rgba[i] >> 16u) & vec3(255u);
        y[i] = Element4(vec4(vec3<f32>(bytes) / 127.5 - 1.0, 0.0));
    }
}
