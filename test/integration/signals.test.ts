import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { key, runs } from '../support/runs.ts';

const { configure } = runs();

/** Signal numbers on Linux. */
const numbers = { SIGHUP: 1 };

/** Whether the process has a handler for `signal` (SigCgt in proc_pid_status(5)). */
function handles(pid: number, signal: keyof typeof numbers): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${mask}`) & (1n << BigInt(numbers[signal] - 1))) !== 0n;
}

/** Sends `signal` as soon as the program's handlers are installed. (Node itself has one for SIGTERM before.) */
async function sendEarly(pid: number, signal: 'SIGHUP' | 'SIGTERM'): Promise<void> {
  await eventually(() => handles(pid, 'SIGHUP'), { everyMs: 1 });
  process.kill(pid, signal);
}

const startsOf = (stderr: string) => stderr.split('"event":"daemon.start"').length - 1;

describe('a signal', () => {
  it('SIGHUP that arrives while the program loads reads the configuration again', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    const { file } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    await sendEarly(program.child.pid ?? 0, 'SIGHUP');
    await program.until((stderr) => startsOf(stderr) === 2);
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
  });

  it('SIGTERM that arrives while the program loads stops it with exit code 0', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    const { file } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    await sendEarly(program.child.pid ?? 0, 'SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
  });

  it('SIGUSR1 opens no debugger', async () => {
    await using simulator = await startSimulator({ events: 3, key });
    await using hec = await startHecServer();
    const { file } = configure(simulator.url, {
      sinks: [`{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`],
    });
    const program = startProgram(['run', '-c', file]);
    await hec.until(() => hec.count === 3);
    program.child.kill('SIGUSR1');
    // Another signal and its effect, so the first has been handled by now.
    writeFileSync(file, `${readFileSync(file, 'utf8')}log: { level: debug }\n`);
    program.child.kill('SIGHUP');
    await program.until((stderr) => startsOf(stderr) === 2);
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
    expect(program.stderr()).not.toMatch(/debugger/i);
  });
});

it('the entry point imports nothing before its signal handlers are installed', () => {
  const text = readFileSync(new URL('../../src/main.ts', import.meta.url), 'utf8');
  expect(text.match(/^import (?!type ).*$/gm)).toBeNull();
  expect(text.indexOf("process.on('SIGTERM'")).toBeLessThan(text.indexOf('await import('));
});
