//! A disk that is soon full: memory, mounted where the test runs as root.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system of a few megabytes; it is gone when it is dropped.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Why there is none, where there can be none.
    pub fn mount(size: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        mount(&format!("size={size}"), folder.path())?;
        Ok(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Another size, with all that is on it.
    pub fn resize(&self, size: &str) {
        mount(&format!("remount,size={size}"), self.path())
            .expect("what was mounted can be mounted again");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a handler may have it open still.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

fn mount(options: &str, at: &Path) -> Result<(), String> {
    let output = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(at)
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
