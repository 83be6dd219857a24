//! JSON as JavaScript reads and writes it.
