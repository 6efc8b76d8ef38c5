import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { inject, onTestFinished } from 'vitest';
import type { Leaf } from '../support/authority.ts';
import { type Received, receivedFrom } from './otlp.ts';

const found = inject('otelcol');
const MAX_STOP_MS = 10_000;

/** Why there is no collector to test with, or undefined if there is one. */
export const collectorMissing: string | undefined = 'missing' in found ? found.missing : undefined;

export interface CollectorOptions {
  /** With the ack extension; default true. */
  readonly acknowledgement?: boolean;
  /** Speaks TLS with this certificate; else plain HTTP. */
  readonly tls?: Leaf & { readonly clientCaFile?: string };
  /** Longest body, uncompressed; the collector's own default is 20 MiB. */
  readonly maxRequestBytes?: number;
}

/** An OpenTelemetry Collector on loopback: splunk_hec receiver, file exporter, nothing between. */
export interface Collector extends AsyncDisposable {
  /** The same after a restart. */
  readonly url: string;
  /** SIGTERM, after which its file is whole, and its acknowledgements are forgotten. */
  stop(): Promise<void>;
  /** After `stop`: on the same port, appending to the same file. */
  start(): Promise<void>;
  /** What was received, in the order in which it was exported. Whole only after `stop`. */
  received(): Received[];
  /** After `stop`: loses every request that holds an event for which `isKept` is false. */
  lose(isKept: (one: Received) => boolean): void;
}

/** Starts a collector that is stopped after the test in any case. @throws if it exits before it is ready */
export async function startCollector(options: CollectorOptions = {}): Promise<Collector> {
  const port = await freePort();
  const { out, stop, start, dispose } = collectorProcess((file) => configuration(options, port, file));
  onTestFinished(dispose);
  await start();
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    stop,
    start,
    received: () => linesOf(out).flatMap(receivedFrom),
    lose: (isKept) => {
      const kept = linesOf(out).filter((line) => receivedFrom(line).every(isKept));
      writeFileSync(out, kept.map((line) => `${line}\n`).join(''));
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** Prepares a collector in a new directory; `configure` receives the path of the export file. */
export function collectorProcess(configure: (out: string) => object) {
  const directory = mkdtempSync(join(tmpdir(), 'otelcol-'));
  const out = join(directory, 'out.json');
  const config = join(directory, 'config.yaml');
  // YAML by way of JSON.
  writeFileSync(config, JSON.stringify(configure(out)));
  let child: ChildProcess | undefined;
  const stop = async () => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = once(ending, 'exit');
    ending.kill('SIGTERM');
    const late = setTimeout(() => ending.kill('SIGKILL'), MAX_STOP_MS);
    await ended;
    clearTimeout(late);
  };
  const start = async () => {
    if ('missing' in found) throw new Error(found.missing);
    const started = spawn(found.program, ['--config', `file:${config}`], { stdio: ['ignore', 'ignore', 'pipe'] });
    child = started;
    await ready(started, started.stderr);
  };
  const dispose = async () => {
    await stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { out, stop, start, dispose };
}

/** The file exporter writes one line a request; the last one may be cut off. */
export const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1);

function ready(child: ChildProcess, stderr: Readable): Promise<void> {
  let said = '';
  return new Promise((resolve, reject) => {
    stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000);
      if (said.includes('Everything is ready')) resolve();
    });
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`the collector ended at once: ${said}`)));
  });
}

function configuration(options: CollectorOptions, port: number, out: string): object {
  const { acknowledgement = true, tls, maxRequestBytes } = options;
  const receiver = {
    endpoint: `127.0.0.1:${port}`,
    access_token_passthrough: true,
    ...(maxRequestBytes !== undefined && { max_request_body_size: maxRequestBytes }),
    ...(acknowledgement && { ack: { extension: 'ack' } }),
    ...(tls !== undefined && {
      tls: { cert_file: tls.certFile, key_file: tls.keyFile, client_ca_file: tls.clientCaFile },
    }),
  };
  return {
    extensions: { ack: {} },
    receivers: { splunk_hec: receiver },
    exporters: { file: { path: out, append: true, flush_interval: '100ms' } },
    service: {
      telemetry: { metrics: { level: 'none' } },
      extensions: ['ack'],
      pipelines: { logs: { receivers: ['splunk_hec'], exporters: ['file'] } },
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
