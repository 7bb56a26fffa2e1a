// Sines and cosines of the timestep times falling frequencies 10000^(-j / (half - frequency_shift)), one vec4 per
// invocation. Phases reach 1000 radians, where the devices' own sin and exp may be off by more than the embedding's
// smallest steps (WGSL allows 2^-11, and only within ±π), so both are computed here to f32 accuracy.
import package::shared::element::{Element4};
@if(activations_f16) enable f16;

struct Params {
    batch: u32,
    columns: u32,         // padded channels / 4
    half: u32,            // channels / 2, rounded down
    cosine_first: u32,    // 1: cosines before sines
    frequency_shift: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> timesteps: array<f32>; // [batch]
@group(0) @binding(2) var<storage, read_write> y: array<Element4>; // [batch][columns]

const WORKGROUP = 64u;

// e^x for -20 < x <= 0: a power of two times a Taylor series on ±ln(2)/2. ln(2) is taken off in two parts, of which the
// first has few enough digits that its multiples are exact.
fn exponential(x: f32) -> f32 {
    let n = round(x * 1.4426950408889634);
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    let series = 1.0 + r * (1.0 + r * (1.0 / 2.0 + r * (1.0 / 6.0 + r * (1.0 / 24.0
        + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0))))));
    return series * bitcast<f32>(u32(i32(n) + 127) << 23u);
}

// Sine and cosine for |x| < 4000: the nearest multiple of π/2 is taken off in three parts, of which the first two have
// few enough digits that their multiples are exact; then Taylor series on ±π/4.
fn sine_and_cosine(x: f32) -> vec2<f32> {
    let n = round(x * 0.6366197723675814);
    let r = ((x - n * 1.5703125) - n * 4.83751296997070312e-4) - n * 7.549789948768648e-8;
    let z = r * r;
    let sine = r + r * z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5040.0 + z / 362880.0)));
    let cosine = 1.0 - z * (1.0 / 2.0 - z * (1.0 / 24.0 - z * (1.0 / 720.0 - z * (1.0 / 40320.0 - z / 3628800.0))));
    switch i32(n) & 3 {
        case 0: { return vec2(sine, cosine); }
        case 1: { return vec2(cosine, -sine); }
        case 2: { return vec2(-sine, -cosine); }
        default: { return vec2(-cosine, sine); }
    }
}

fn channel(timestep: f32, c: u32) -> f32 {
    if c >= 2u * params.half {
        return 0.0;
    }
    let j = f32(c % params.half);
    // ln(10000)
    let frequency = exponential(-9.210340371976184 * j / (f32(params.half) - params.frequency_shift));
    let both = sine_and_cosine(timestep * frequency);
    return select(both.x, both.y, (c < params.half) == (params.cosine_first != 0u));
}

@compute @workgroup_size(WORKGROUP)
fn timestep_embedding(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = group.x * WORKGROUP + local;
    if i >= params.batch * params.columns {
        return;
    }
    let timestep = timesteps[i / params.columns];
    let c = i % params.columns * 4u;
    y[i] = Element4(vec4(
        channel(timestep, c), channel(timestep, c + 1u), channel(timestep, c + 2u), channel(timestep, c + 3u)
    ));
}
