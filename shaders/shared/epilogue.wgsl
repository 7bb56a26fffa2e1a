// What follows a sum over K: bias, batch bias, activation or gate, residual, scale, store.
import package::shared::element::{Element4};
import package::shared::activation::{activate};
import package::shared::gemm_params::{params};

@group(0) @binding(1) var<storage, read> bias: array<vec4<f32>>; // [columns] or absent
@group(0) @binding(2) var<storage, read> batch_bias: array<Element4>; // [batch, batch_bias_stride] or absent
@group(0) @binding(3) var<storage, read> residual: array<Element4>; // as y, or absent
@group(0) @binding(4) var<storage, read_write> y: array<Element4>; // [rows, columns], or [rows, columns / 2] gated

// `low` and `high` are the sums of `row` at `column`, which is even, and the next.
fn finish(row: u32, column: u32, low: vec4<f32>, high: vec4<f32>) {
    if row >= params.end_row || column >= params.columns {
        return;
    }
    let entry = row / params.batch_rows;
    let first = biased(entry, column, low);
    let has_second = column + 1u < params.columns;
    var second = high;
    if has_second {
        second = activate(params.activation, biased(entry, column + 1u, high));
    }
    if params.gated != 0u {
        store(row * (params.columns / 2u) + column / 2u, first * second);
        return;
    }
    let i = row * params.columns + column;
    store(i, activate(params.activation, first));
    if has_second {
        store(i + 1u, second);
    }
}

fn biased(entry: u32, column: u32, sum: vec4<f32>) -> vec4<f32> {
    var value = sum;
    if params.has_bias != 0u {
        value += bias[column];
    }
    if params.has_batch_bias != 0u {
        value += vec4<f32>(batch_bias[entry * params.batch_bias_stride + params.batch_bias_first + column]);
    }
    return value;
}

fn store(i: u32, activated: vec4<f32>) {
    var value = activated;
    if params.has_residual != 0u {
        value += vec4<f32>(residual[i]);
    }
    y[i] = Element4(params.scale * value);
}
