//! The demo of the docs.
