// Activation functions on vec4<f32>, and their numbers in `Params.activation` (see `ops::elementwise::Activation`).

const ACTIVATION_NONE = 0u;
const ACTIVATION_SILU = 1u;
const ACTIVATION_GELU = 2u;
const ACTIVATION_QUICK_GELU = 3u;
const ACTIVATION_GELU_TANH = 4u;

fn silu(x: vec4<f32>) -> vec4<f32> {
    return x / (1.0 + exp(-x));
}

// Abramowitz & Stegun 7.1.26, absolute error below 1.5e-7.
fn erf(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let t = 1.0 / fma(a, vec4(0.3275911), vec4(1.0));
    var p = fma(t, vec4(1.061405429), vec4(-1.453152027));
    p = fma(p, t, vec4(1.421413741));
    p = fma(p, t, vec4(-0.284496736));
    p = fma(p, t, vec4(0.254829592));
    return sign(x) * (1.0 - p * t * exp(-a * a));
}

fn gelu(x: vec4<f32>) -> vec4<f32> {
    return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
}

fn quick_gelu(x: vec4<f32>) -> vec4<f32> {
    return x / (1.0 + exp(-1.702 * x));
}

// The hyperbolic tangent is written with a decaying exponential: tanh() overflows on some drivers for large arguments.
fn gelu_tanh(x: vec4<f32>) -> vec4<f32> {
    let inner = 0.7978845608028654 * fma(0.044715 * x * x, x, x);
    let e = exp(-2.0 * abs(inner));
    return 0.5 * x * (1.0 + sign(inner) * (1.0 - e) / (1.0 + e));
}

fn activate(kind: u32, x: vec4<f32>) -> vec4<f32> {
    switch kind {
        case ACTIVATION_SILU: { return silu(x); }
        case ACTIVATION_GELU: { return gelu(x); }
        case ACTIVATION_QUICK_GELU: { return quick_gelu(x); }
        case ACTIVATION_GELU_TANH: { return gelu_tanh(x); }
        default: { return x; }
    }
}
