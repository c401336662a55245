//! The log: a file in the state folder, never the terminal. Off unless `KEYDESK_LOG` asks for it.

use std::path::Path;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use super::ConfigError;

/// Starts logging to `path` when `filter` (the value of `KEYDESK_LOG`, such as `keydesk=debug`) is given. Keep the guard until the end.
pub fn start(path: &Path, filter: Option<&str>) -> Result<Option<WorkerGuard>, ConfigError> {
    let Some(filter) = filter.filter(|filter| !filter.is_empty()) else { return Ok(None) };
    let failed = |e: &dyn std::fmt::Display| ConfigError::Log(path.into(), e.to_string());
    let filter = EnvFilter::try_new(filter).map_err(|e| failed(&e))?;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = options.open(path).map_err(|e| failed(&e))?;
    let (writer, guard) = tracing_appender::non_blocking(file);
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(writer).try_init().map_err(|e| failed(&e))?;
    Ok(Some(guard))
}
