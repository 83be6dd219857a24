//! GUN: graph, conflict resolution, wire protocol, peers.
