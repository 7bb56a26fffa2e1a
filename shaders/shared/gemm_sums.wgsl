// The sums that one invocation keeps: four rows, each of two vec4 of columns. Named, not indexed: they must stay in
// registers whether or not a compiler unrolls loops.

struct Sums {
    low0: vec4<f32>, high0: vec4<f32>,
    low1: vec4<f32>, high1: vec4<f32>,
    low2: vec4<f32>, high2: vec4<f32>,
    low3: vec4<f32>, high3: vec4<f32>,
}

// Adds the products of four depths: four rows of the input with two vec4 of columns; low[k] and high[k] hold the columns'
// weights at depth k.
fn add_products(
    sums: ptr<function, Sums>,
    row0: vec4<f32>, row1: vec4<f32>, row2: vec4<f32>, row3: vec4<f32>,
    low: mat4x4<f32>, high: mat4x4<f32>,
) {
    (*sums).low0 = accumulate((*sums).low0, row0, low);
    (*sums).high0 = accumulate((*sums).high0, row0, high);
    (*sums).low1 = accumulate((*sums).low1, row1, low);
    (*sums).high1 = accumulate((*sums).high1, row1, high);
    (*sums).low2 = accumulate((*sums).low2, row2, low);
    (*sums).high2 = accumulate((*sums).high2, row2, high);
    (*sums).low3 = accumulate((*sums).low3, row3, low);
    (*sums).high3 = accumulate((*sums).high3, row3, high);
}

fn accumulate(sum: vec4<f32>, row: vec4<f32>, columns: mat4x4<f32>) -> vec4<f32> {
    let x = fma(vec4(row.x), columns[0], sum);
    let y = fma(vec4(row.y), columns[1], x);
    let z = fma(vec4(row.z), columns[2], y);
    return fma(vec4(row.w), columns[3], z);
}
