//! The socket's place.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Its name in the data folder.
const NAME: &str = "onceflow.sock";
/// The system takes paths of sockets up to 107 bytes.
const PATH_BYTES_MAX: usize = 100;

/// The socket of a data folder.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

/// A path that is short enough, and what must stay open as long as it is used.
fn address(data_dir: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = path(data_dir);
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok((path, None));
    }
    let folder = File::open(data_dir)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
    Ok((short, Some(folder)))
}

pub(super) fn bind(data_dir: &Path) -> io::Result<UnixListener> {
    let (address, _folder) = address(data_dir)?;
    UnixListener::bind(address)
}

pub(super) fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    let (address, _folder) = address(data_dir)?;
    UnixStream::connect(address)
}

/// Whether a process owns the folder and answers. A socket that isn't ours to open is somebody's.
pub(crate) fn is_running(data_dir: &Path) -> bool {
    match connect(data_dir) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_deep_down_has_a_socket_too() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a".repeat(90)).join("b".repeat(90));
        std::fs::create_dir_all(&deep).unwrap();
        assert!(!is_running(&deep));
        let _listener = bind(&deep).unwrap();
        assert!(is_running(&deep));
        assert!(path(&deep).exists());
    }
}
