// Second pass of a GEMM with K split: adds the partial sums in order, then the epilogue. One invocation per two vec4.
import package::shared::gemm_params::{Params, params};
import package::shared::epilogue::{finish};
@if(activations_f16) enable f16;

@group(0) @binding(5) var<storage, read> partial_sums: array<vec4<f32>>; // [splits, end_row, columns]

const WORKGROUP = 64u;

@compute @workgroup_size(WORKGROUP)
fn gemm_reduce(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // More than 65535 workgroups spill into the second dimension.
    let i = (group.y * groups.x + group.x) * WORKGROUP + local;
    let column_pairs = (params.columns + 1u) / 2u;
    let row = i / column_pairs;
    let column = i % column_pairs * 2u;
    if row >= params.end_row {
        return;
    }
    var low = vec4(0.0);
    var high = vec4(0.0);
    for (var split = 0u; split < params.splits; split++) {
        let at = (split * params.end_row + row) * params.columns + column;
        low += partial_sums[at];
        if column + 1u < params.columns {
            high += partial_sums[at + 1u];
        }
    }
    finish(row, column, low, high);
}
