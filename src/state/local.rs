//! Status and journal in redb, under an exclusive lock.
