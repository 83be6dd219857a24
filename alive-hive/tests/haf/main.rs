//! The HAF block source against a real `PostgreSQL` with the smallest stand-ins for HAF's functions and views.
#![cfg(test)]

mod chain;
mod faults;
mod index;
mod rules;
mod server;
