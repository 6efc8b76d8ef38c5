/** What a measured process reports on descriptor 3 when it exits. Plain JavaScript once built: no type stripping is measured. */
import { readFileSync, writeSync } from 'node:fs';

export interface Reading {
  /** CPU of all threads from the start of the process, milliseconds. */
  readonly cpuMs: number;
  /** The same, from the first request on. */
  readonly movingCpuMs: number;
  /** Wall time from the first request to the end, milliseconds. */
  readonly movingMs: number;
  /** Most resident memory ever held, bytes. */
  readonly peakBytes: number;
}

let first: { readonly cpuMs: number; readonly atMs: number } | undefined;

/** The work begins: called before the first request. */
export function begin(): void {
  first ??= { cpuMs: cpuMs(), atMs: performance.now() };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Of this process alone: `ru_maxrss` of getrusage(2) also knows what the parent held when it forked. */
function peakBytes(): number {
  try {
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

process.on('exit', () => {
  const whole = cpuMs();
  const reading: Reading = {
    cpuMs: whole,
    movingCpuMs: whole - (first?.cpuMs ?? whole),
    movingMs: performance.now() - (first?.atMs ?? performance.now()),
    peakBytes: peakBytes(),
  };
  writeSync(3, JSON.stringify(reading));
});
