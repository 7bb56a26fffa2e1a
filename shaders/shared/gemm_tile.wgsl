// Workgroup tiles for GPUs: slabs of K go through workgroup memory, each invocation keeps 4 rows × 8 columns of sums.
import package::shared::element::{Element4};
import package::shared::gemm_params::{params};
import package::shared::gemm_operands::{Place, place, step_at, input_at, weights_at};
import package::shared::gemm_sums::{Sums, add_products};

@if(tile_128) const WORKGROUP = 256u;
@if(tile_32) const WORKGROUP = 64u;
const TILE_COLUMNS = 16u;               // in vec4
const ROW_STRIDE = WORKGROUP / 8u;      // between the four rows of an invocation
const TILE_ROWS = 4u * ROW_STRIDE;
// vec4 along K in a slab: as many as 16 KiB hold.
@if(activations_f16) const SLAB = 8u;
@if(activations_f32) const SLAB = 4u;

// By depth in the slab, then row or column; one more than needed, so that a depth's writes spread over the memory banks.
const INPUT_STRIDE = TILE_ROWS + 1u;
const WEIGHT_STRIDE = 4u * TILE_COLUMNS + 1u;
var<workgroup> input_tile: array<Element4, SLAB * INPUT_STRIDE>;
var<workgroup> weight_tile: array<Element4, SLAB * WEIGHT_STRIDE>;

// The sums of rows first_row + local / 8 + {0, 1, 2, 3} · ROW_STRIDE, columns first_column + 2 · (local % 8) + {0, 1},
// over depths from `begin` to before `end`.
fn product(first_row: u32, first_column: u32, begin: u32, end: u32, local: u32) -> Sums {
    var sums: Sums;
    let slab_k = local % SLAB;
    let slab_row = local / SLAB;
    let place0 = place(first_row + slab_row);
    let place1 = place(first_row + slab_row + WORKGROUP / SLAB);
    @if(activations_f16) let place2 = place(first_row + slab_row + 2u * WORKGROUP / SLAB);
    @if(activations_f16) let place3 = place(first_row + slab_row + 3u * WORKGROUP / SLAB);
    let input_write = slab_k * INPUT_STRIDE + slab_row;
    let lane_row = local / 8u;
    let lane_column = local % 8u;

    for (var slab = begin; slab < end; slab += SLAB) {
        let k = slab + slab_k;
        let step = step_at(k);
        input_tile[input_write] = input_at(place0, step);
        input_tile[input_write + WORKGROUP / SLAB] = input_at(place1, step);
        @if(activations_f16) { input_tile[input_write + 2u * WORKGROUP / SLAB] = input_at(place2, step); }
        @if(activations_f16) { input_tile[input_write + 3u * WORKGROUP / SLAB] = input_at(place3, step); }
        // Column 8 · i + j lies at 8 · j + i: neighbouring invocations then read neighbouring vec4s below.
        for (var at = slab_row; at < 4u * TILE_COLUMNS; at += WORKGROUP / SLAB) {
            let column = 4u * first_column + (at % 8u) * 8u + at / 8u;
            var loaded = Element4();
            if column < 4u * params.columns && k < params.depth {
                loaded = Element4(weights_at(column, k));
            }
            weight_tile[slab_k * WEIGHT_STRIDE + at] = loaded;
        }
        workgroupBarrier();

        for (var depth = 0u; depth < SLAB; depth++) {
            let at = depth * WEIGHT_STRIDE + lane_column;
            let low = transpose(mat4x4<f32>(
                vec4<f32>(weight_tile[at]),
                vec4<f32>(weight_tile[at + 8u]),
                vec4<f32>(weight_tile[at + 16u]),
                vec4<f32>(weight_tile[at + 24u]),
            ));
            let high = transpose(mat4x4<f32>(
                vec4<f32>(weight_tile[at + 32u]),
                vec4<f32>(weight_tile[at + 40u]),
                vec4<f32>(weight_tile[at + 48u]),
                vec4<f32>(weight_tile[at + 56u]),
            ));
            let row = depth * INPUT_STRIDE + lane_row;
            add_products(
                &sums,
                vec4<f32>(input_tile[row]),
                vec4<f32>(input_tile[row + ROW_STRIDE]),
                vec4<f32>(input_tile[row + 2u * ROW_STRIDE]),
                vec4<f32>(input_tile[row + 3u * ROW_STRIDE]),
                low,
                high,
            );
        }
        workgroupBarrier();
    }
    return sums;
}
