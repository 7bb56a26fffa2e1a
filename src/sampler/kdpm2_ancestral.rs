//! DPM2 down to a lower level, then fresh noise up to the next one ("DPM2 a").

use super::euler_ancestral::ancestral;
use super::kdpm2::{Step, steps};
use super::{Options, Sampler, SchedulerConfig};
use crate::error::Result;

pub(super) fn build(config: &SchedulerConfig, options: &Options) -> Result<Sampler> {
    steps(config, options, |sigma, next| {
        let (down, up) = ancestral(sigma, next);
        Step { middle: (sigma * down).sqrt(), target: down, noise: Some(up) }
    })
}
