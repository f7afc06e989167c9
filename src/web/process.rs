//! Metrics of the process itself, under the standard names of Prometheus exporters. Only on Linux.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the system reports about this process.
#[derive(Default)]
pub(super) struct Process {
    memory: Gauge,
    files: Gauge,
    began: Gauge<f64, AtomicU64>,
    cpu: Counter<f64, AtomicU64>,
}

impl Process {
    pub(super) fn register(&self, registry: &mut Registry) {
        let (memory, files) = (self.memory.clone(), self.files.clone());
        registry.register("process_resident_memory_bytes", "Resident memory", memory);
        registry.register("process_open_fds", "Open file descriptors", files);
        let began = self.began.clone();
        registry.register(
            "process_start_time_seconds",
            "Start time of the process since the Unix epoch in seconds",
            began,
        );
        registry.register(
            "process_cpu_seconds",
            "Total user and system CPU time in seconds",
            self.cpu.clone(),
        );
    }

    /// Updates them.
    #[cfg(target_os = "linux")]
    #[allow(clippy::cast_precision_loss)] // Seconds and bytes are far below 2^52.
    pub(super) fn read(&self) {
        let Ok(own) = procfs::process::Process::myself() else { return };
        let Ok(stat) = own.stat() else { return };
        let ticks = procfs::ticks_per_second() as f64;
        self.memory.set(i64::try_from(stat.rss * procfs::page_size()).unwrap_or(i64::MAX));
        let cpu = (stat.utime + stat.stime) as f64 / ticks;
        self.cpu.inner().store(cpu.to_bits(), Ordering::Relaxed);
        if let Ok(boot) = procfs::boot_time_secs() {
            self.began.set(boot as f64 + stat.starttime as f64 / ticks);
        }
        if let Ok(count) = own.fd_count() {
            self.files.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn read(&self) {}
}
