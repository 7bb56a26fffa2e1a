//! Weight formats: how values are encoded, and how a matrix of them lies in a GPU buffer.
