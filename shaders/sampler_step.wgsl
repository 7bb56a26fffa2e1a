// A sampler's step: linear combinations of registers, one vec4 of all registers per invocation. The step's program comes
// in a buffer, so the same recording serves every step of every sampler.
import package::shared::element::{Element4};
@if(activations_f16) enable f16;

struct Params {
    vectors: u32,    // of a register
    registers: u32,  // in use, at most REGISTERS
    copies: u32,     // of the next input, 0: it is absent
}

@group(0) @binding(0) var<uniform> params: Params;
// The layout is that of `ops::sampling::encode_program`.
@group(0) @binding(1) var<storage, read> program: array<vec4<f32>>; // [1 + 4 · combinations]
@group(0) @binding(2) var<storage, read_write> state: array<vec4<f32>>; // [registers][vectors]
@group(0) @binding(3) var<storage, read_write> next_input: array<Element4>; // [copies][vectors], or absent

const WORKGROUP = 64u;
const REGISTERS = 12u;
const COMBINATIONS = 16u;

@compute @workgroup_size(WORKGROUP)
fn sampler_step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + local;
    if i >= params.vectors {
        return;
    }
    var values: array<vec4<f32>, REGISTERS>;
    for (var r = 0u; r < REGISTERS; r++) {
        if r < params.registers {
            values[r] = state[r * params.vectors + i];
        }
    }
    let combinations = min(u32(program[0].x), COMBINATIONS);
    for (var number = 0u; number < combinations; number++) {
        let head = program[1u + 4u * number];
        var sum = vec4<f32>();
        for (var r = 0u; r < REGISTERS; r++) {
            let factor = program[2u + 4u * number + r / 4u][r % 4u];
            // What a register that takes no part holds, be it NaN, must not matter.
            if factor != 0.0 {
                sum += factor * values[r];
            }
        }
        if head.y >= 0.0 {
            sum = clamp(sum, vec4(-head.y), vec4(head.y));
        }
        for (var r = 0u; r < REGISTERS; r++) {
            if r == u32(head.x) {
                values[r] = sum;
            }
        }
    }
    for (var r = 0u; r < REGISTERS; r++) {
        if r < params.registers {
            state[r * params.vectors + i] = values[r];
        }
    }
    let input = Element4(program[0].z * values[0]);
    for (var copy = 0u; copy < params.copies; copy++) {
        next_input[copy * params.vectors + i] = input;
    }
}
