// The element type of activations, and conversions to and from the f32 in which everything is computed.

@if(activations_f16) alias Element = f16;
@if(activations_f16) alias Element4 = vec4<f16>;
@if(activations_f32) alias Element = f32;
@if(activations_f32) alias Element4 = vec4<f32>;
