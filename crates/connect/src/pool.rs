//! Read buffers that are used again, so that their pages are faulted in only once.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most buffers that wait to be used again; more are given back to the system.
const IDLE_MAX: usize = 4;

#[derive(Clone, Default)]
pub(crate) struct BufferPool(Arc<Mutex<Vec<Vec<u8>>>>);

impl BufferPool {
    fn idle(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer of at least `bytes`, with anything in it.
    pub(crate) fn take(&self, bytes: usize) -> PooledBuffer {
        let idle = self.idle().pop().filter(|buffer| buffer.len() >= bytes);
        let buffer = idle.unwrap_or_else(|| vec![0; bytes]);
        PooledBuffer { bytes: buffer, pool: self.clone() }
    }
}

/// A buffer that goes back to its pool once its last owner lets go.
pub(crate) struct PooledBuffer {
    bytes: Vec<u8>,
    pool: BufferPool,
}

impl Deref for PooledBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let mut idle = self.pool.idle();
        if idle.len() < IDLE_MAX {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_its_last_owner_let_go() {
        let pool = BufferPool::default();
        let first = pool.take(100);
        let address = first.as_ptr();
        let bytes = bytes::Bytes::from_owner(first);
        let slice = bytes.slice(10..20);
        drop(bytes);
        assert_ne!(pool.take(100).as_ptr(), address);
        drop(slice);
        assert_eq!(pool.take(100).as_ptr(), address);
        assert!(pool.take(200).len() >= 200);
    }
}
