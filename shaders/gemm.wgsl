// The one matrix product: linear layers (input_rows) and convolutions (input_taps), weights decoded on the way.
import package::shared::gemm_params::{Params, params};
import package::shared::gemm_sums::{Sums};
@if(!tile_registers) import package::shared::gemm_tile::{product, WORKGROUP, TILE_ROWS, TILE_COLUMNS, ROW_STRIDE};
@if(tile_registers) import package::shared::gemm_registers::{product};
@if(!partials) import package::shared::epilogue::{finish};
@if(activations_f16) enable f16;

@if(partials) @group(0) @binding(3) var<storage, read_write> partial_sums: array<vec4<f32>>; // [splits, end_row, columns]

@if(tile_registers) const WORKGROUP = 16u;

@compute @workgroup_size(WORKGROUP)
fn gemm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // More than 65535 workgroups spill into the second dimension; the third one is the split of K.
    let tile = group.y * groups.x + group.x;
    @if(!tile_registers) {
        let column_tiles = (params.columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
        let first_row = params.first_row + tile / column_tiles * TILE_ROWS;
        let first_column = tile % column_tiles * TILE_COLUMNS;
        if first_row >= params.end_row {
            return;
        }
        let begin = group.z * params.split_depth;
        let end = min(begin + params.split_depth, params.depth);
        let sums = product(first_row, first_column, begin, end, local);
        finish_rows(group.z, first_row + local / 8u, first_column + 2u * (local % 8u), ROW_STRIDE, sums);
    }
    @if(tile_registers) {
        let i = tile * WORKGROUP + local;
        let column_pairs = (params.columns + 1u) / 2u;
        let row = params.first_row + i / column_pairs * 8u;
        if row >= params.end_row {
            return;
        }
        let column = i % column_pairs * 2u;
        let sums = product(row, column);
        finish_rows(0u, row, column, 1u, sums.upper);
        finish_rows(0u, row + 4u, column, 1u, sums.lower);
    }
}

// A loop, though the rows must be told apart: the epilogue is long, and compilers would inline it once a row.
fn finish_rows(split: u32, row: u32, column: u32, stride: u32, sums: Sums) {
    for (var i = 0u; i < 4u; i++) {
        var low = sums.low0;
        var high = sums.high0;
        switch i {
            case 1u: { low = sums.low1; high = sums.high1; }
            case 2u: { low = sums.low2; high = sums.high2; }
            case 3u: { low = sums.low3; high = sums.high3; }
            default: {}
        }
        finish_row(split, row + i * stride, column, low, high);
    }
}

fn finish_row(split: u32, row: u32, column: u32, low: vec4<f32>, high: vec4<f32>) {
    @if(!partials) {
        finish(row, column, low, high);
    }
    @if(partials) {
        if row >= params.end_row || column >= params.columns {
            return;
        }
        let i = (split * params.end_row + row) * params.columns + column;
        partial_sums[i] = low;
        if column + 1u < params.columns {
            partial_sums[i + 1u] = high;
        }
    }
}
