// One row of each batch entry, by its number: the text encoder's output at the end of the prompt.
import package::shared::element::{Element4};
@if(activations_f16) enable f16;

struct Params {
    batch: u32,
    rows: u32,     // of a batch entry
    columns: u32,  // channels / 4
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element4>; // [batch][rows][columns]
@group(0) @binding(2) var<storage, read> numbers: array<u32>; // [batch]
@group(0) @binding(3) var<storage, read_write> y: array<Element4>; // [batch][columns]

const WORKGROUP = 64u;

@compute @workgroup_size(WORKGROUP)
fn gather_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = group.x * WORKGROUP + local;
    if i >= params.batch * params.columns {
        return;
    }
    let entry = i / params.columns;
    // A number past the end means the last row.
    let row = min(numbers[entry], params.rows - 1u);
    y[i] = x[(entry * params.rows + row) * params.columns + i % params.columns];
}
