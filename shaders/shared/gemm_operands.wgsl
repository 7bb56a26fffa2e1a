// Operands of the GEMM and how a vec4 along K is read from them. Nothing is read outside an operand.
import package::shared::element::{Element4};
import package::shared::gemm_params::{params};
import package::shared::weights::{weights_from_f16, weights_from_q8_0, weights_from_q4_0};

@if(weights_f32) alias Packed = vec4<f32>;
@if(weights_f16) alias Packed = vec2<u32>;
@if(weights_q8_0 || weights_q4_0) alias Packed = u32;

// Elements as they are loaded: in words where every component is a load of its own.
@if(!tile_registers) alias Vector = Element4;
@if(tile_registers && activations_f32) alias Vector = vec4<f32>;
@if(tile_registers && activations_f16) alias Vector = vec2<u32>;

@if(tile_registers)
fn widened(loaded: Vector) -> vec4<f32> {
    @if(activations_f32) return loaded;
    @if(activations_f16) return weights_from_f16(loaded);
}

@if(!partials) @group(0) @binding(5) var<storage, read> x: array<Vector>; // [rows, depth] or [batch, height, width, channels]
@if(!partials) @group(0) @binding(6) var<storage, read> weights: array<Packed>; // [4 · columns, weights_stride], then scales
@if(!partials && input_taps) @group(0) @binding(7) var<storage, read> second: array<Vector>; // [batch, height, width, second_channels] or absent

@if(partials) @group(0) @binding(1) var<storage, read> x: array<Vector>; // [rows, depth] or [batch, height, width, channels]
@if(partials) @group(0) @binding(2) var<storage, read> weights: array<Packed>; // [4 · columns, weights_stride], then scales
@if(partials && input_taps) @group(0) @binding(4) var<storage, read> second: array<Vector>; // [batch, height, width, second_channels] or absent

// Four weights of output `row` at depth `k`; both in range.
fn weights_at(row: u32, k: u32) -> vec4<f32> {
    return scaled_weights_at(row, k, scale_at(row, k));
}

fn scaled_weights_at(row: u32, k: u32, scale: f32) -> vec4<f32> {
    let i = row * params.weights_stride + k;
    @if(weights_f32) return weights[i];
    @if(weights_f16) return weights_from_f16(weights[i]);
    @if(weights_q8_0) return weights_from_q8_0(weights[i], scale);
    @if(weights_q4_0) return weights_from_q4_0(weights[i / 2u] >> (16u * (i % 2u)), scale);
}

// The scale of the block of 8 vec4 along K that `k` lies in; 1 for formats without.
fn scale_at(row: u32, k: u32) -> f32 {
    @if(weights_f32 || weights_f16) return 1.0;
    @if(weights_q8_0 || weights_q4_0) {
        let block = (row * params.weights_stride + k) / 8u;
        return unpack2x16float(weights[params.scales_offset + block / 2u] >> (16u * (block % 2u))).x;
    }
}

// What is known of one row of the input before K is.
@if(input_rows)
struct Place {
    start: u32,
    end: u32,
}

@if(input_rows)
fn place(row: u32) -> Place {
    let start = row * params.depth;
    return Place(start, select(start, start + params.depth, row < params.end_row));
}

@if(input_taps)
struct Place {
    entry: u32,    // first position of the batch entry
    top: i32,      // of the first tap, in the resized input; far outside for rows that are none
    left: i32,
}

@if(input_taps)
fn place(row: u32) -> Place {
    let position = row % params.batch_rows;
    let top = (position / params.output_width) * params.stride;
    let left = (position % params.output_width) * params.stride;
    let outside = select(0, 0x40000000, row >= params.end_row);
    return Place(
        (row / params.batch_rows) * params.height * params.width,
        i32(top) - i32(params.pad_top) - outside,
        i32(left) - i32(params.pad_left),
    );
}

// The tap and channel at a depth.
struct Step {
    k: u32,
    @if(input_taps) down: i32,
    @if(input_taps) right: i32,
    @if(input_taps) channel: u32,
}

@if(input_rows)
fn step_at(k: u32) -> Step {
    return Step(k);
}

@if(input_taps)
fn step_at(k: u32) -> Step {
    let channels = params.channels + params.second_channels;
    let tap = k / channels;
    let down = tap / params.kernel;
    // Past the last tap `down` is past the kernel, which input_at() takes for outside.
    return Step(k, i32(down), i32(tap - down * params.kernel), k - tap * channels);
}

@if(input_rows)
fn input_at(place: Place, step: Step) -> Element4 {
    let i = place.start + step.k;
    if i >= place.end {
        return Element4();
    }
    return x[i];
}

@if(input_taps)
fn input_at(place: Place, step: Step) -> Element4 {
    let row = u32(place.top + step.down);
    let column = u32(place.left + step.right);
    // Negative positions have become large ones.
    if step.k >= params.depth || row >= params.resized_height || column >= params.resized_width {
        return Element4();
    }
    let position = place.entry + resized(row, params.height, params.resized_height) * params.width
        + resized(column, params.width, params.resized_width);
    if step.channel < params.channels {
        return x[position * params.channels + step.channel];
    }
    return second[position * params.second_channels + step.channel - params.channels];
}

// Nearest neighbour: floor(i · stored / resized). Equal sizes and doubling need no division.
@if(input_taps)
fn resized(i: u32, stored: u32, size: u32) -> u32 {
    if size == stored {
        return i;
    }
    if size == 2u * stored {
        return i >> 1u;
    }
    return i * stored / size;
}
