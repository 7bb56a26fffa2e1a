//! The GPU executor; the only folder that names `wgpu`.
