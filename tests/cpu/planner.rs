//! Planner properties: no two live buffers share a slot.
