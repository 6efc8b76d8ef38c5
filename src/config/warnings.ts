import { statSync } from 'node:fs';
import { isLoopback } from '../lib/options/values.ts';
import { printable } from '../lib/printable.ts';
import type { Config } from './schema.ts';

/** What a valid configuration should be warned about at each start, one printable line each. */
export function warningsOf(config: Config, file: string | undefined): string[] {
  return [...readableByOthers(config, file), ...weakTransports(config), ...weakHashes(config)];
}

const shortestKeyBytes = 16;

/** Whoever has the hashes can try every address there is under every short key. */
function weakHashes({ sinks }: Config): string[] {
  return sinks
    .filter(({ hashKey, hashKeyFile }) => {
      const key = (hashKey ?? hashKeyFile)?.current.reveal();
      return key !== undefined && Buffer.byteLength(key) < shortestKeyBytes;
    })
    .map(({ name }) => `sink ${name}: the key of hash has less than ${shortestKeyBytes} bytes and can be guessed`);
}

function readableByOthers(config: Config, file: string | undefined): string[] {
  const tokens = config.sinks.flatMap((sink) => (sink.type === 'splunk-hec' ? [sink.token.path] : []));
  const hashKeys = config.sinks.map(({ hashKeyFile }) => hashKeyFile?.path);
  const keys = [config.source, ...config.sinks].map((block) => ('tls' in block ? block.tls?.keyFile : undefined));
  const files = [file, config.source.apiKey.path, ...tokens, ...hashKeys, ...keys].filter((path) => path !== undefined);
  return [...new Set(files)]
    .filter((path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0)
    .map((path) => `${printable(path)} can be read by every user of this machine: chmod o-r`);
}

function weakTransports({ source, sinks }: Config): string[] {
  const blocks = [
    { label: 'source', tls: source.tls },
    ...sinks.map((sink) => ({ label: `sink ${sink.name}`, tls: 'tls' in sink ? sink.tls : undefined })),
  ];
  const unverified = blocks
    .filter(({ tls }) => tls?.insecureSkipVerify === true)
    .map(({ label }) => `${label}: insecureSkipVerify is on, so anyone in between can read and change what is sent`);
  const plain = sinks
    .filter(
      (sink) => sink.type === 'splunk-hec' && sink.url.startsWith('http:') && !isLoopback(new URL(sink.url).hostname),
    )
    .map(({ name }) => `sink ${name}: http:// sends the token and every record in clear`);
  return [...unverified, ...plain];
}
