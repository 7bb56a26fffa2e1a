//! Layers: an op and its weights, with names as in the checkpoint.
