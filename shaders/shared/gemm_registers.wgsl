// Register tiles for adapters that are programs on a CPU. Workgroup memory and barriers cost there, every loaded
// component of every lane is a load of its own: so there are few, and eight rows share them.
import package::shared::gemm_params::{params};
@if(input_taps) import package::shared::gemm_operands::{x, second, widened, resized, scale_at, scaled_weights_at};
@if(input_rows) import package::shared::gemm_operands::{x, widened, scale_at, scaled_weights_at};
import package::shared::gemm_sums::{Sums, add_products};

// The sums of eight rows.
struct Product {
    upper: Sums,
    lower: Sums,
}

// Where depths that lie one after the other begin in the input, for each of the eight rows.
struct Run {
    upper: vec4<u32>,
    lower: vec4<u32>,
    upper_inside: vec4<bool>,    // else zeros
    lower_inside: vec4<bool>,
}

// Of rows row + {0, …, 7}, columns column + {0, 1}, all depths. Rows past the end repeat the last one, and where there
// is no second vec4 of columns the first is summed twice.
fn product(row: u32, column: u32) -> Product {
    var sums: Product;
    let upper_row = min(vec4(row) + vec4(0u, 1u, 2u, 3u), vec4(params.end_row - 1u));
    let lower_row = min(vec4(row) + vec4(4u, 5u, 6u, 7u), vec4(params.end_row - 1u));
    let low_row = 4u * column;
    let high_row = 4u * min(column + 1u, params.columns - 1u);
    @if(input_rows) {
        let all = vec4(true);
        let run = Run(upper_row * params.depth, lower_row * params.depth, all, all);
        add_run(&sums, run, false, 0u, params.depth, low_row, high_row);
    }
    @if(input_taps) {
        let channels = params.channels;
        let second_channels = params.second_channels;
        var k = 0u;
        for (var tap = 0u; tap < params.kernel * params.kernel; tap++) {
            let upper = tapped(upper_row, tap);
            let lower = tapped(lower_row, tap);
            let run = Run(upper.position * channels, lower.position * channels, upper.inside, lower.inside);
            add_run(&sums, run, false, k, k + channels, low_row, high_row);
            k += channels;
            let second_run =
                Run(upper.position * second_channels, lower.position * second_channels, upper.inside, lower.inside);
            add_run(&sums, second_run, true, k, k + second_channels, low_row, high_row);
            k += second_channels;
        }
    }
    return sums;
}

// The positions that a tap takes from the stored input.
@if(input_taps)
struct Tapped {
    position: vec4<u32>,
    inside: vec4<bool>,
}

@if(input_taps)
fn tapped(row: vec4<u32>, tap: u32) -> Tapped {
    let position = row % params.batch_rows;
    // Negative positions become large ones.
    let down = position / params.output_width * params.stride + vec4(tap / params.kernel - params.pad_top);
    let right = position % params.output_width * params.stride + vec4(tap % params.kernel - params.pad_left);
    let inside = (down < vec4(params.resized_height)) & (right < vec4(params.resized_width));
    let line = row / params.batch_rows * params.height + resized4(down, params.height, params.resized_height);
    let stored = line * params.width + resized4(right, params.width, params.resized_width);
    return Tapped(select(vec4(0u), stored, inside), inside);
}

@if(input_taps)
fn resized4(i: vec4<u32>, stored: u32, size: u32) -> vec4<u32> {
    return vec4(resized(i.x, stored, size), resized(i.y, stored, size), resized(i.z, stored, size), resized(i.w, stored, size));
}

// Adds the depths of a run, from `begin` to before `end`.
fn add_run(sums: ptr<function, Product>, run: Run, from_second: bool, begin: u32, end: u32, low_row: u32, high_row: u32) {
    var upper = (*sums).upper;
    var lower = (*sums).lower;
    var k = begin;
    while k < end {
        // Scales serve eight depths.
        let block_end = min((k / 8u + 1u) * 8u, end);
        let low_scale = vec4(
            scale_at(low_row, k), scale_at(low_row + 1u, k), scale_at(low_row + 2u, k), scale_at(low_row + 3u, k));
        let high_scale = vec4(
            scale_at(high_row, k), scale_at(high_row + 1u, k), scale_at(high_row + 2u, k), scale_at(high_row + 3u, k));
        for (; k < block_end; k++) {
            let low = weights4(low_row, k, low_scale);
            let high = weights4(high_row, k, high_scale);
            let i = k - begin;
            add_products(
                &upper,
                input_at(from_second, run.upper.x + i, run.upper_inside.x),
                input_at(from_second, run.upper.y + i, run.upper_inside.y),
                input_at(from_second, run.upper.z + i, run.upper_inside.z),
                input_at(from_second, run.upper.w + i, run.upper_inside.w),
                low,
                high,
            );
            add_products(
                &lower,
                input_at(from_second, run.lower.x + i, run.lower_inside.x),
                input_at(from_second, run.lower.y + i, run.lower_inside.y),
                input_at(from_second, run.lower.z + i, run.lower_inside.z),
                input_at(from_second, run.lower.w + i, run.lower_inside.w),
                low,
                high,
            );
        }
    }
    (*sums).upper = upper;
    (*sums).lower = lower;
}

fn weights4(row: u32, k: u32, scale: vec4<f32>) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(
        scaled_weights_at(row, k, scale.x),
        scaled_weights_at(row + 1u, k, scale.y),
        scaled_weights_at(row + 2u, k, scale.z),
        scaled_weights_at(row + 3u, k, scale.w),
    ));
}

fn input_at(from_second: bool, i: u32, inside: bool) -> vec4<f32> {
    @if(input_taps) {
        if from_second {
            return select(vec4(0.0), widened(second[i]), inside);
        }
    }
    return select(vec4(0.0), widened(x[i]), inside);
}
