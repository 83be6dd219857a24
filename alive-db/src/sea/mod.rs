//! SEA: GUN's user accounts and signed user space.
