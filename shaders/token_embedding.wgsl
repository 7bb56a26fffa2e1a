// Sum of a token's row of the embedding table and its position's row, one vec4 per invocation. A table that no single
// binding holds comes in chunks of rows, a dispatch each, which writes only the tokens that fall into its chunk.
import package::shared::element::{Element4};
import package::shared::weights::{weights_from_f16, weights_from_q8_0, weights_from_q4_0};
@if(activations_f16) enable f16;

struct Params {
    rows: u32,            // tokens in all
    sequence: u32,        // tokens of a batch entry: the position starts anew after as many
    columns: u32,         // channels / 4
    first_row: u32,       // the chunk's first row of the whole table
    chunk_rows: u32,
    table_rows: u32,      // of the whole table; tokens beyond it get the position alone, from the first chunk
    table_format: u32,    // FORMAT_*
    table_scales: u32,    // word at which the scales of block formats start
    position_format: u32,
    position_scales: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>; // [rows]
@group(0) @binding(2) var<storage, read> table: array<u32>; // [chunk_rows][columns] of table_format
@group(0) @binding(3) var<storage, read> positions: array<u32>; // [sequence or more][columns] of position_format
@group(0) @binding(4) var<storage, read_write> y: array<Element4>; // [rows][columns]

const FORMAT_F32 = 0u;
const FORMAT_F16 = 1u;
const FORMAT_Q8_0 = 2u;
const FORMAT_Q4_0 = 3u;
const WORKGROUP = 64u;

// Of vec4 number i of a matrix; a scale covers 8 of them.
fn table_scale(i: u32) -> f32 {
    return unpack2x16float(table[params.table_scales + i / 16u] >> (16u * (i / 8u % 2u))).x;
}

fn table_vector(i: u32) -> vec4<f32> {
    switch params.table_format {
        case FORMAT_F32: {
            return bitcast<vec4<f32>>(vec4(table[4u * i], table[4u * i + 1u], table[4u * i + 2u], table[4u * i + 3u]));
        }
        case FORMAT_F16: { return weights_from_f16(vec2(table[2u * i], table[2u * i + 1u])); }
        case FORMAT_Q8_0: { return weights_from_q8_0(table[i], table_scale(i)); }
        default: { return weights_from_q4_0(table[i / 2u] >> (16u * (i % 2u)), table_scale(i)); }
    }
}

fn position_scale(i: u32) -> f32 {
    return unpack2x16float(positions[params.position_scales + i / 16u] >> (16u * (i / 8u % 2u))).x;
}

fn position_vector(i: u32) -> vec4<f32> {
    switch params.position_format {
        case FORMAT_F32: {
            return bitcast<vec4<f32>>(
                vec4(positions[4u * i], positions[4u * i + 1u], positions[4u * i + 2u], positions[4u * i + 3u])
            );
        }
        case FORMAT_F16: { return weights_from_f16(vec2(positions[2u * i], positions[2u * i + 1u])); }
        case FORMAT_Q8_0: { return weights_from_q8_0(positions[i], position_scale(i)); }
        default: { return weights_from_q4_0(positions[i / 2u] >> (16u * (i % 2u)), position_scale(i)); }
    }
}

@compute @workgroup_size(WORKGROUP)
fn token_embedding(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + local;
    if i >= params.rows * params.columns {
        return;
    }
    let row = i / params.columns;
    let column = i % params.columns;
    let token = tokens[row];
    let here = token >= params.first_row && token - params.first_row < params.chunk_rows;
    let nowhere = token >= params.table_rows && params.first_row == 0u;
    if here || nowhere {
        var sum = position_vector(row % params.sequence * params.columns + column);
        if here {
            sum += table_vector((token - params.first_row) * params.columns + column);
        }
        y[i] = Element4(sum);
    }
}
