// What `guidance` and `guidance_rescale` share: the network's output seen with and without the prompt.
import package::shared::element::{Element4};

struct Params {
    images: u32,
    positions: u32,         // of an image
    columns: u32,           // vec4s of a position in the registers
    channels: u32,          // of a position, without padding
    network_columns: u32,   // vec4s of a position in the network's output, `columns` or more
    guided: u32,            // 1: the output holds all images without the prompt, then all with it
    rescaled: u32,          // 1: `ratios` holds factors
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> network: array<Element4>; // [images or 2 · images][positions][network_columns]
@group(0) @binding(2) var<storage, read> settings: array<f32>; // guidance scale, share of the rescaled result

// Zero where there is only padding, whatever lies there.
fn only_channels(column: u32, value: vec4<f32>) -> vec4<f32> {
    return select(vec4(0.0), value, vec4(column * 4u) + vec4(0u, 1u, 2u, 3u) < vec4(params.channels));
}

// With the prompt; vec4 number `column` of position number `row` of all images.
fn conditioned(row: u32, column: u32) -> vec4<f32> {
    let first = select(0u, params.images * params.positions, params.guided != 0u);
    return only_channels(column, vec4<f32>(network[(first + row) * params.network_columns + column]));
}

// Without the prompt; the same as with it where there is no guidance.
fn unconditioned(row: u32, column: u32) -> vec4<f32> {
    return only_channels(column, vec4<f32>(network[row * params.network_columns + column]));
}

fn combined(with_prompt: vec4<f32>, without_prompt: vec4<f32>) -> vec4<f32> {
    return without_prompt + settings[0] * (with_prompt - without_prompt);
}
