//! Locks between processes.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::Error;
use crate::workspace::create_dir;

const RETRY: Duration = Duration::from_millis(100);

/// A lock on a file, held until dropped. The operating system releases it however its holder ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock if nobody holds it.
    pub(crate) fn try_acquire(path: &Path) -> Result<Option<Self>, Error> {
        if let Some(folder) = path.parent() {
            create_dir(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(Error::file("open", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::file("lock", path)(source)),
        }
    }

    /// Takes the lock, calling `waiting` once if another process holds it. Can be cancelled while it waits.
    pub(crate) async fn acquire(path: &Path, waiting: impl FnOnce()) -> Result<Self, Error> {
        if let Some(lock) = Self::try_acquire(path)? {
            return Ok(lock);
        }
        waiting();
        loop {
            tokio::time::sleep(RETRY).await;
            if let Some(lock) = Self::try_acquire(path)? {
                return Ok(lock);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[tokio::test]
    async fn a_second_holder_waits_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/lock");
        let first = Lock::try_acquire(&path).unwrap().unwrap();
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        let (waits, waiting) = tokio::sync::oneshot::channel();
        let release = async {
            waiting.await.unwrap();
            drop(first);
        };
        let (second, ()) = tokio::join!(Lock::acquire(&path, || waits.send(()).unwrap()), release);
        second.unwrap();
    }
}
