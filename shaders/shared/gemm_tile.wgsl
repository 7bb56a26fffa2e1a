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

// By depth in the slab, then row or column: one more than needed, so that a depth's writes spread over the memory banks.
// Arrays in arrays, so that bounds checks of the inner loop are of the depth, alike for all, or do not depend on it.
var<workgroup> input_tile: array<array<Element4, TILE_ROWS + 1u>, SLAB>;
var<workgroup> weight_tile: array<array<Element4, 4u * TILE_COLUMNS + 1u>, SLAB>;

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
    let lane_row = local / 8u;
    let lane_column = local % 8u;

    for (var slab = begin; slab < end; slab += SLAB) {
        let k = slab + slab_k;
        let step = step_at(k);
        input_tile[slab_k][slab_row] = input_at(place0, step);
        input_tile[slab_k][slab_row + WORKGROUP / SLAB] = input_at(place1, step);
        @if(activations_f16) { input_tile[slab_k][slab_row + 2u * WORKGROUP / SLAB] = input_at(place2, step); }
        @if(activations_f16) { input_tile[slab_k][slab_row + 3u * WORKGROUP / SLAB] = input_at(place3, step); }
        // Column 8 · i + j lies at 8 · j + i: neighbouring invocations then read neighbouring vec4s below.
        for (var at = slab_row; at < 4u * TILE_COLUMNS; at += WORKGROUP / SLAB) {
            let column = 4u * first_column + (at % 8u) * 8u + at / 8u;
            var loaded = Element4();
            if column < 4u * params.columns && k < params.depth {
                loaded = Element4(weights_at(column, k));
            }
            weight_tile[slab_k][at] = loaded;
        }
        workgroupBarrier();

        // By fours, which compilers unroll.
        for (var four = 0u; four < SLAB; four += 4u) {
            for (var one = 0u; one < 4u; one++) {
                let depth = four + one;
                let low = transpose(mat4x4<f32>(
                    vec4<f32>(weight_tile[depth][lane_column]),
                    vec4<f32>(weight_tile[depth][lane_column + 8u]),
                    vec4<f32>(weight_tile[depth][lane_column + 16u]),
                    vec4<f32>(weight_tile[depth][lane_column + 24u]),
                ));
                let high = transpose(mat4x4<f32>(
                    vec4<f32>(weight_tile[depth][lane_column + 32u]),
                    vec4<f32>(weight_tile[depth][lane_column + 40u]),
                    vec4<f32>(weight_tile[depth][lane_column + 48u]),
                    vec4<f32>(weight_tile[depth][lane_column + 56u]),
                ));
                add_products(
                    &sums,
                    vec4<f32>(input_tile[depth][lane_row]),
                    vec4<f32>(input_tile[depth][lane_row + ROW_STRIDE]),
                    vec4<f32>(input_tile[depth][lane_row + 2u * ROW_STRIDE]),
                    vec4<f32>(input_tile[depth][lane_row + 3u * ROW_STRIDE]),
                    low,
                    high,
                );
            }
        }
        workgroupBarrier();
    }
    return sums;
}
