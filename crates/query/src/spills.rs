//! Rows that do not fit into memory wait in files that have no names: nothing is left of them, however the program ends.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::error::DataFusionError;
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures_util::Stream;
use futures_util::stream;

/// Bytes that are read back at a time.
const PIECE_BYTES: usize = 128 * 1024;

/// Makes the files, in `TMPDIR`.
#[derive(Default)]
pub(crate) struct Spills {
    failed: Arc<Failed>,
}

/// The first error, as it was before DataFusion had it.
#[derive(Default)]
struct Failed(Mutex<Option<io::Error>>);

impl Spills {
    /// The first error that a file ended with.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.failed.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Failed {
    fn noted(&self, error: io::Error) -> io::Error {
        let copy = io::Error::new(error.kind(), error.to_string());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        copy
    }
}

impl TempFileFactory for Spills {
    fn create_temp_file(&self, _description: &str) -> Result<Arc<dyn SpillFile>, DataFusionError> {
        let file = tempfile::tempfile_in(env::temp_dir()).map_err(|error| self.failed.noted(error))?;
        Ok(Arc::new(Spill { file: Arc::new(file), failed: Arc::clone(&self.failed) }))
    }
}

struct Spill {
    file: Arc<File>,
    failed: Arc<Failed>,
}

impl SpillFile for Spill {
    fn size(&self) -> Option<u64> {
        self.file.metadata().ok().map(|metadata| metadata.len())
    }

    fn read_stream(
        &self,
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes, DataFusionError>> + Send>>, DataFusionError> {
        // At places of its own: all handles of a file share the one of the file.
        let begun = (Arc::clone(&self.file), Arc::clone(&self.failed), 0);
        Ok(Box::pin(stream::try_unfold(begun, |(file, failed, offset)| async move {
            let source = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || piece(&source, offset));
            let bytes = read.await.unwrap_or_else(|error| Err(error.into()));
            let bytes = bytes.map_err(|error| failed.noted(error))?;
            let next = offset + bytes.len() as u64;
            Ok((!bytes.is_empty()).then_some((bytes, (file, failed, next))))
        })))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>, DataFusionError> {
        let file = self.file.try_clone().map_err(|error| self.failed.noted(error))?;
        Ok(Box::new(SpillTo { file, failed: Arc::clone(&self.failed) }))
    }
}

/// What comes at an offset; nothing at the end.
fn piece(file: &File, offset: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        match file.read_at(&mut bytes, offset) {
            Ok(read) => {
                bytes.truncate(read);
                return Ok(bytes.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

struct SpillTo {
    file: File,
    failed: Arc<Failed>,
}

impl Write for SpillTo {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => self.failed.noted(error),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for SpillTo {
    fn finish(&mut self) -> Result<(), DataFusionError> {
        Ok(())
    }
}
