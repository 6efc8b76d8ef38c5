import { readdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Meter } from '@opentelemetry/api';

/** Node's process metrics, with the names used by Prometheus clients. */
export function observeProcess(meter: Meter): void {
  const gauge = (name: string, unit: string, description: string, read: () => number | undefined) =>
    meter.createObservableGauge(name, { unit, description }).addCallback((result) => {
      const value = read();
      if (value !== undefined) result.observe(value);
    });
  meter
    .createObservableCounter('process_cpu_seconds_total', { unit: 's', description: 'CPU time, user and system.' })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe((user + system) / 1e6);
    });
  const startedAt = performance.timeOrigin / 1000;
  gauge('process_start_time_seconds', 's', 'When the process started.', () => startedAt);
  gauge('process_resident_memory_bytes', 'By', 'Resident memory.', () => process.memoryUsage.rss());
  gauge('process_open_fds', '', 'Open file descriptors.', openFiles);
  gauge('nodejs_heap_size_used_bytes', 'By', 'Heap in use.', () => process.memoryUsage().heapUsed);
  gauge('nodejs_heap_size_total_bytes', 'By', 'Heap.', () => process.memoryUsage().heapTotal);
  gauge(
    'nodejs_external_memory_bytes',
    'By',
    'Memory outside the heap, such as buffers.',
    () => process.memoryUsage().external,
  );
  let before = performance.eventLoopUtilization();
  gauge(
    'nodejs_eventloop_utilization',
    '',
    'Share of time since the last collection in which the event loop was busy.',
    () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
  );
}

/** Undefined on systems without /proc. */
function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1;
  } catch (error) {
    if (!('syscall' in (error as Error))) throw error;
    return undefined;
  }
}
