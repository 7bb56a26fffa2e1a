// Classifier-free guidance into the register of the model's output, one vec4 per invocation; counts what is not finite.
import package::shared::guidance::{params, network, settings, conditioned, unconditioned, combined};
import package::shared::finite::{count_not_finite};
@if(activations_f16) enable f16;

@group(0) @binding(3) var<storage, read> ratios: array<f32>; // [images], or absent
@group(0) @binding(4) var<storage, read_write> state: array<vec4<f32>>; // [registers][images][positions][columns]
@group(0) @binding(5) var<storage, read_write> not_finite: array<atomic<u32>>; // [1]

const WORKGROUP = 64u;
// The register's number, see `ops::sampling`.
const MODEL_OUTPUT = 1u;

@compute @workgroup_size(WORKGROUP)
fn guidance(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * WORKGROUP + local;
    let row = i / params.columns;
    let column = i % params.columns;
    let rows = params.images * params.positions;
    if row >= rows {
        return;
    }
    let with_prompt = conditioned(row, column);
    var value = with_prompt;
    var bad = count_not_finite(with_prompt);
    if params.guided != 0u {
        let without_prompt = unconditioned(row, column);
        bad += count_not_finite(without_prompt);
        value = combined(with_prompt, without_prompt);
        if params.rescaled != 0u {
            // rescale_noise_cfg of diffusers; Lin et al. 2023, "Common Diffusion Noise Schedules", section 3.4.
            value = settings[1] * (value * ratios[row / params.positions]) + (1.0 - settings[1]) * value;
        }
    }
    state[MODEL_OUTPUT * rows * params.columns + i] = value;
    if bad > 0u {
        atomicAdd(&not_finite[0], bad);
    }
}
