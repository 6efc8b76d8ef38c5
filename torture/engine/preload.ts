/**
 * Loaded before the program (`node --import`): counts the points at which anything leaves the process, reaches the disk or
 * comes back, and ends the process at one of them as `kill -9` does. The program itself is what is shipped.
 *
 * TORTURE_TRACE=FILE    every point, one JSON object per line
 * TORTURE_KILL_AT=POINT SIGKILL at that point: `OP NAME K`, the K-th of its kind, from 0 (the order within a kind is stable)
 * TORTURE_FAULT=OP:PART:CODE:TIMES   the first TIMES of operation OP on a path that holds PART fail with CODE
 */
import fs from 'node:fs';
import { hook, nameOf } from './hooks.ts';

const { openSync, writeSync } = fs;
const killAt = process.env['TORTURE_KILL_AT'];
const traceFile = process.env['TORTURE_TRACE'];
const trace = traceFile === undefined ? undefined : openSync(traceFile, 'a', 0o600);
const [faultOp, faultPart = '', faultCode = '', faultTimes = '0'] = (process.env['TORTURE_FAULT'] ?? '').split(':');
let faultsLeft = Number(faultTimes);
const counts = new Map<string, number>();

await hook({
  reach(op, path, half) {
    const kind = nameOf(op, path);
    const k = counts.get(kind) ?? 0;
    counts.set(kind, k + 1);
    const at = `${kind} ${k}`;
    if (trace !== undefined) writeSync(trace, `${JSON.stringify({ at, op, path })}\n`);
    if (at !== killAt) return;
    half?.();
    process.kill(process.pid, 'SIGKILL');
    for (;;);
  },
  fail(op, path) {
    if (op !== faultOp || faultsLeft <= 0 || !path.includes(faultPart)) return;
    faultsLeft--;
    throw Object.assign(new Error(`${faultCode}: made to fail, ${op} '${path}'`), {
      code: faultCode,
      syscall: op,
      path,
    });
  },
  own: trace,
});
