//! Twin of `shaders/elementwise.wgsl`.

use crate::error::Result;
use crate::record::catalogue::parameters::ElementwiseParams;
use crate::reference::Invocation;

/// y = activation(scale · x + other)
pub fn elementwise(invocation: &mut Invocation) -> Result<()> {
    let params: ElementwiseParams = invocation.parameters()?;
    let x = invocation.elements("x")?;
    let other = invocation.elements("other")?;
    let mut y = invocation.elements("y")?;
    let (x_first, y_first) = (params.x_first as usize * 4, params.y_first as usize * 4);
    for i in 0..params.vectors as usize * 4 {
        let sum = params.scale * x[x_first + i] + if params.has_other != 0 { other[i] } else { 0.0 };
        y[y_first + i] = activate(params.activation, sum);
    }
    invocation.store_elements("y", &y)
}

/// `shared/activation.wgsl`, by the numbers of `ops::elementwise::Activation`.
pub fn activate(kind: u32, x: f32) -> f32 {
    let x = f64::from(x);
    let y = match kind {
        1 => x / (1.0 + (-x).exp()),
        2 => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        3 => x / (1.0 + (-1.702 * x).exp()),
        4 => 0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x)).tanh()),
        _ => x,
    };
    y as f32
}

/// The error function to f64 accuracy: Taylor series near zero, continued fraction of erfc elsewhere
/// (Abramowitz & Stegun 7.1.5, 7.1.14).
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 2.5 {
        let mut term = a;
        let mut sum = a;
        for n in 1..60 {
            let n = f64::from(n);
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        return x.signum() * sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let fraction = (1..=60).rev().fold(0.0, |below, n| f64::from(n) / 2.0 / (a + below));
    let erfc = (-a * a).exp() / (std::f64::consts::PI.sqrt() * (a + fraction));
    x.signum() * (1.0 - erfc)
}
