//! A target through its façade, on memory and on a disk, whole and under faults.

mod faults;
mod locking;
mod publishing;
mod recovery;
mod support;
