// The decoder's picture of ±1 to packed bytes, one pixel per invocation. A pixel that is infinite or NaN gets an alpha
// of 0, by which the caller knows without another pass.
import package::shared::element::{Element4};
import package::shared::pixel::{pack_pixel};
import package::shared::finite::{count_not_finite};
@if(activations_f16) enable f16;

struct Params {
    pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element4>; // [pixels]: red, green, blue, unused
@group(0) @binding(2) var<storage, read_write> rgba: array<u32>; // [pixels]

const WORKGROUP = 256u;

@compute @workgroup_size(WORKGROUP)
fn to_rgba(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + local;
    if i < params.pixels {
        let colour = vec4(vec4<f32>(x[i]).xyz, 0.0);
        let packed = pack_pixel(colour.xyz);
        rgba[i] = select(packed & 0x00ffffffu, packed, count_not_finite(colour) == 0u);
    }
}
