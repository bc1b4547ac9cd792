//! The YAML tree with places, and the way mistakes are shown: the same as for pipes.

pub(super) use pipe::config::ConfigErrors;
pub(super) use pipe::config::tree::{
    Data, Name, Node, Place, Problems, SourceText, documents, nearest,
};
