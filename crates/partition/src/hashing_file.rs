//! A file that is hashed while it is written, and named after its bytes.
//!
//! Data files and rejected lines have the beginning of their SHA-256 in their names, which is known only with the last byte.
//! So they are written under a temporary name in the directory where they will be, made durable, and renamed.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::layout::NameDigest;

/// Bytes a file gathers before it asks the system to write them.
const BUFFER_BYTES: usize = 256 * 1024;

/// What the name of an unfinished file ends with. No file of a lake has such a name.
const UNFINISHED: &str = ".unfinished";

/// A file that is hashed while it is written, so that it need not be read again. Flushing closes it until more is written:
/// a dump of many years has as many files as months, and a process may not have that many open.
pub(crate) struct HashingFile {
    path: PathBuf,
    file: Option<BufWriter<fs::File>>,
    sha256: Sha256,
    bytes: u64,
}

/// What was written.
pub(crate) struct Hashed {
    pub(crate) bytes: u64,
    /// Hexadecimal.
    pub(crate) sha256: String,
    /// How that begins.
    pub(crate) digest: NameDigest,
}

impl HashingFile {
    /// A new file that is to become `path`, but for the digest in its name. Missing directories are made.
    ///
    /// # Errors
    /// Also when somebody else is writing it: one of both would be lost.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let path = unfinished(path);
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        let file = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Self { path, file, sha256: Sha256::new(), bytes: 0 })
    }

    /// Its temporary name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn open(&mut self) -> io::Result<&mut BufWriter<fs::File>> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => {
                let file = fs::OpenOptions::new().append(true).open(&self.path)?;
                Ok(none.insert(BufWriter::with_capacity(BUFFER_BYTES, file)))
            }
        }
    }

    /// Makes the file durable and gives it the name that `path` says for its digest.
    pub(crate) fn close(mut self, path: impl FnOnce(NameDigest) -> PathBuf) -> io::Result<Hashed> {
        self.open()?.flush()?;
        self.open()?.get_ref().sync_all()?;
        let sha256: [u8; 32] = self.sha256.finalize().into();
        let digest = NameDigest::of(&sha256);
        fs::rename(&self.path, path(digest))?;
        Ok(Hashed { bytes: self.bytes, sha256: hex(&sha256), digest })
    }
}

impl Write for HashingFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_all(buffer)?;
        Ok(buffer.len())
    }

    fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
        self.open()?.write_all(buffer)?;
        self.sha256.update(buffer);
        self.bytes += buffer.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.take().map_or(Ok(()), |mut file| file.flush())
    }
}

/// The temporary name of a file, beside it.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(UNFINISHED);
    PathBuf::from(name)
}
