//! Options: how the database keeps its keyspaces. Those of a keyspace hold for good once it is created.

use std::{path::Path, sync::Arc};

use fjall::{
    Database, KeyspaceCreateOptions,
    compaction::Leveled,
    config::{
        BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
        PartitioningPolicy, PinningPolicy,
    },
};

/// The size of the block cache.
const CACHE: u64 = 48 << 20;

/// The most that a keyspace buffers in memory before writing sorted files: rows of batches, which are soon removed.
const MAX_MEMTABLE: u64 = 8 << 20;

/// The most that is replayed after a crash; 64 MiB is the least that fjall allows.
const MAX_JOURNAL: u64 = 64 << 20;

/// One thread writes full memtables and the others merge, each one keyspace. With a single thread, memtables grew while
/// a merge lasted (measured: 250 MiB, and commits that took 14 s). With two, the first turned in circles while the
/// second merged: it takes requests to merge from the queue and puts them back (measured: a fifth of all CPU at two
/// million URLs).
const WORKERS: usize = 4;

/// Opens or creates the database.
pub(super) fn open(database: &Path) -> fjall::Result<Database> {
    Database::builder(database).cache_size(CACHE).max_journaling_size(MAX_JOURNAL).worker_threads(WORKERS).open()
}

/// Returns the options of the queues' keyspace. It is read by ranges only, which no filter helps.
pub(super) fn queue() -> KeyspaceCreateOptions {
    meta().filter_policy(FilterPolicy::disabled()).compaction_strategy(merged_by(6))
}

/// Returns the options of the seen-set's keyspace.
pub(super) fn seen() -> KeyspaceCreateOptions {
    let filter = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
    meta()
        // Fingerprints cannot be compressed.
        .data_block_compression_policy(CompressionPolicy::disabled())
        // One fingerprint is looked for in each block that is read.
        .data_block_size_policy(BlockSizePolicy::all(2_048))
        .filter_policy(FilterPolicy::all(filter))
        // A filter that was dropped from the cache would be read as a whole for one look-up. These take 37 MB and 13 MB
        // for 30 million fingerprints.
        .filter_block_pinning_policy(PinningPolicy::all(true))
        .index_block_pinning_policy(PinningPolicy::all(true))
        .filter_block_partitioning_policy(PartitioningPolicy::all(false))
        .index_block_partitioning_policy(PartitioningPolicy::all(false))
        .compaction_strategy(merged_by(10))
}

/// Merges tables when there are so many that were not merged yet: the more, the less often each row is written again,
/// and the more tables a look-up looks into.
fn merged_by(tables: u8) -> Arc<Leveled> {
    Arc::new(Leveled::default().with_l0_threshold(tables))
}

/// Returns the options of the keyspace for all else.
pub(super) fn meta() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(MAX_MEMTABLE)
}
