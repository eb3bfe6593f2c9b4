//! Where kept rows find room: in memory as far as some is spared for them, past
//! that on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::disk::Disk;

/// Where rows that are kept find room.
#[derive(Debug, Clone)]
pub struct Room {
    place: Place,
    disk: Arc<Disk>,
}

/// The places, the best one first.
#[derive(Debug, Clone)]
enum Place {
    /// In memory, as far as it is spared; past that as in [`Place::Plenty`].
    Ample(Arc<Spare>),
    /// On disk as in memory.
    Plenty,
    /// Packed on disk: more work for each reader, for a third of the space.
    Scarce,
}

impl Room {
    /// On disk, as in memory.
    pub fn on(disk: &Arc<Disk>) -> Self {
        Self { place: Place::Plenty, disk: Arc::clone(disk) }
    }

    /// The same without memory, and nothing is packed.
    pub fn unpacked(&self) -> Self {
        Self::on(&self.disk)
    }

    /// The same without memory, and all is packed.
    pub fn packed(&self) -> Self {
        Self { place: Place::Scarce, ..self.clone() }
    }

    /// The same, but in memory as far as it is spared.
    pub fn spared(&self, spare: Spare) -> Self {
        Self { place: Place::Ample(Arc::new(spare)), ..self.clone() }
    }

    /// Whether memory is spared.
    pub fn is_ample(&self) -> bool {
        matches!(self.place, Place::Ample(_))
    }

    /// Whether rows are packed.
    pub fn is_scarce(&self) -> bool {
        matches!(self.place, Place::Scarce)
    }

    /// Where what finds no room in memory goes.
    pub(super) fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// The share of a new table's partition, if memory is spared for it.
    pub(super) fn share(&self) -> Option<Share> {
        match &self.place {
            Place::Ample(spare) => Some(Share::of(spare)),
            Place::Plenty | Place::Scarce => None,
        }
    }
}

/// Memory that is spared for all kept rows of a run together. It counts in the
/// engine's pool, so that operators take account of it.
#[derive(Debug)]
pub struct Spare {
    pool: Arc<dyn MemoryPool>,
    bytes: usize,
    taken: AtomicUsize,
}

impl Spare {
    /// So many bytes at most, of a pool.
    pub fn new(pool: &Arc<dyn MemoryPool>, bytes: usize) -> Self {
        Self { pool: Arc::clone(pool), bytes, taken: AtomicUsize::new(0) }
    }

    /// Takes some of it, if there is as much.
    fn take(&self, bytes: usize) -> bool {
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.bytes);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What some rows take of it, until they go.
#[derive(Debug)]
pub(super) struct Share {
    spare: Arc<Spare>,
    reservation: MemoryReservation,
}

impl Share {
    fn of(spare: &Arc<Spare>) -> Self {
        let reservation = MemoryConsumer::new("rows that are kept").register(&spare.pool);
        Self { spare: Arc::clone(spare), reservation }
    }

    /// Whether there is room for so many bytes more, which are taken.
    pub(super) fn grow(&self, bytes: usize) -> bool {
        if !self.spare.take(bytes) {
            return false;
        }
        let is_there = self.reservation.try_grow(bytes).is_ok();
        if !is_there {
            self.spare.give_back(bytes);
        }
        is_there
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.spare.give_back(self.reservation.size());
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn no_more_is_taken_than_is_spared_or_there() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let disk = Arc::new(Disk::new("nowhere".into()));
        let room = Room::on(&disk).spared(Spare::new(&pool, 60));
        let Place::Ample(spare) = &room.place else { unreachable!("memory is spared") };
        let (one, other) = (room.share().expect("ample"), room.share().expect("ample"));
        assert!(one.grow(40) && !other.grow(30) && other.grow(20) && !other.grow(1));
        assert_eq!(pool.reserved(), 60);
        drop(one);
        assert_eq!(pool.reserved(), 20);
        let operator = MemoryConsumer::new("a sort").register(&pool);
        operator.grow(70);
        assert!(!other.grow(20) && other.grow(10));
        drop(other);
        assert_eq!((pool.reserved(), spare.taken.load(Ordering::Relaxed)), (70, 0));
    }
}
