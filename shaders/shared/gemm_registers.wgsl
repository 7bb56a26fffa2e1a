// Register tiles for adapters that are programs on a CPU: no workgroup memory and no barriers, which cost there.
import package::shared::gemm_params::{params};
import package::shared::gemm_operands::{place, step_at, input_at, weights_at};
import package::shared::gemm_sums::{Sums, accumulate};

// The sums of rows row + {0, 1, 2, 3}, columns column + {0, 1}, over depths from `begin` to before `end`.
fn product(row: u32, column: u32, begin: u32, end: u32) -> Sums {
    var sums: Sums;
    let place0 = place(row);
    let place1 = place(row + 1u);
    let place2 = place(row + 2u);
    let place3 = place(row + 3u);
    // Where there is no second vec4 the first is summed twice.
    let low_row = 4u * column;
    let high_row = 4u * min(column + 1u, params.columns - 1u);
    for (var k = begin; k < end; k++) {
        let step = step_at(k);
        let low = transpose(mat4x4<f32>(
            weights_at(low_row, k),
            weights_at(low_row + 1u, k),
            weights_at(low_row + 2u, k),
            weights_at(low_row + 3u, k),
        ));
        let high = transpose(mat4x4<f32>(
            weights_at(high_row, k),
            weights_at(high_row + 1u, k),
            weights_at(high_row + 2u, k),
            weights_at(high_row + 3u, k),
        ));
        let input0 = vec4<f32>(input_at(place0, step));
        sums.low0 = accumulate(sums.low0, input0, low);
        sums.high0 = accumulate(sums.high0, input0, high);
        let input1 = vec4<f32>(input_at(place1, step));
        sums.low1 = accumulate(sums.low1, input1, low);
        sums.high1 = accumulate(sums.high1, input1, high);
        let input2 = vec4<f32>(input_at(place2, step));
        sums.low2 = accumulate(sums.low2, input2, low);
        sums.high2 = accumulate(sums.high2, input2, high);
        let input3 = vec4<f32>(input_at(place3, step));
        sums.low3 = accumulate(sums.low3, input3, low);
        sums.high3 = accumulate(sums.high3, input3, high);
    }
    return sums;
}
