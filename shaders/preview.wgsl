// A rough picture straight from the latents: a colour is a linear function of a position's channels.
import package::shared::pixel::{pack_pixel};

struct Params {
    pixels: u32,
    channels: u32,
    columns: u32, // channels / 4, rounded up
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<vec4<f32>>; // [pixels][columns], the sample comes first
@group(0) @binding(2) var<storage, read> factors: array<f32>; // [3][channels + 1], the last is the offset
@group(0) @binding(3) var<storage, read_write> rgba: array<u32>; // [pixels]

const WORKGROUP = 64u;

@compute @workgroup_size(WORKGROUP)
fn preview(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + local;
    if i >= params.pixels {
        return;
    }
    let stride = params.channels + 1u;
    var colour = vec3(factors[params.channels], factors[stride + params.channels], factors[2u * stride + params.channels]);
    for (var c = 0u; c < params.channels; c++) {
        let latent = state[i * params.columns + c / 4u][c % 4u];
        colour += latent * vec3(factors[c], factors[stride + c], factors[2u * stride + c]);
    }
    rgba[i] = pack_pixel(colour);
}
