//! The language the tests are written in.
