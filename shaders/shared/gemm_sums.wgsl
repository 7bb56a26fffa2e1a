// The sums that one invocation keeps: four rows, each of two vec4 of columns. Named, not indexed: they must stay in
// registers whether or not a compiler unrolls loops.

struct Sums {
    low0: vec4<f32>, high0: vec4<f32>,
    low1: vec4<f32>, high1: vec4<f32>,
    low2: vec4<f32>, high2: vec4<f32>,
    low3: vec4<f32>, high3: vec4<f32>,
}

// Adds the products of four depths; columns[k] holds the four columns' weights at depth k.
fn accumulate(sum: vec4<f32>, row: vec4<f32>, columns: mat4x4<f32>) -> vec4<f32> {
    let x = fma(vec4(row.x), columns[0], sum);
    let y = fma(vec4(row.y), columns[1], x);
    let z = fma(vec4(row.z), columns[2], y);
    return fma(vec4(row.w), columns[3], z);
}
