import { statSync } from 'node:fs';
import { printable } from '../lib/printable.ts';
import { Secret, SecretSource } from '../lib/secret.ts';
import { definitionOf } from '../sinks/registry.ts';
import type { Config } from './schema.ts';

/** Warnings about a valid configuration, logged at each start; one printable line each. */
export function warningsOf(config: Config, file: string | undefined): string[] {
  return [...readableByOthers(config, file), ...weakTransports(config), ...weakHashes(config), ...unsigned(config)];
}

function unsigned({ evidence }: Config): string[] {
  if (evidence === undefined || evidence.keyFile !== undefined) return [];
  return [
    'evidence has no keyFile: the seals detect accidents, not intent; make a key with "evidence init --key FILE"',
  ];
}

const MIN_KEY_BYTES = 16;

/** With a short key, anyone who has the hashes can find the values by trying. */
function weakHashes({ sinks }: Config): string[] {
  return sinks
    .filter(({ hashKey, hashKeyFile }) => {
      const key = (hashKey ?? hashKeyFile)?.current.reveal();
      return key !== undefined && Buffer.byteLength(key) < MIN_KEY_BYTES;
    })
    .map(({ name }) => `sink ${name}: the hash key has less than ${MIN_KEY_BYTES} bytes and can be guessed`);
}

function readableByOthers(config: Config, file: string | undefined): string[] {
  const files = [file, ...secretPaths(config)].filter((path) => path !== undefined);
  return [...new Set(files)]
    .filter((path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0)
    .map((path) => `${printable(path)} is readable by every user of this machine: chmod o-r`);
}

/** The files of every secret in a part of the configuration, and of the private keys of its tls blocks. */
function secretPaths(part: unknown): (string | undefined)[] {
  if (typeof part !== 'object' || part === null || part instanceof Secret) return [];
  if (part instanceof SecretSource) return [part.path];
  return Object.entries(part).flatMap(([key, value]) => {
    if (key === 'keyFile' && typeof value === 'string') return [value];
    const isKeyFile = key === 'keyFile' || key === 'previousKeyFile';
    return isKeyFile && typeof value?.path === 'string' ? [value.path] : secretPaths(value);
  });
}

function weakTransports({ source, sinks }: Config): string[] {
  const blocks = [
    { label: 'source', tls: source.tls },
    ...sinks.map((sink) => ({ label: `sink ${sink.name}`, tls: 'tls' in sink ? sink.tls : undefined })),
  ];
  const unverified = blocks
    .filter(({ tls }) => tls?.insecureSkipVerify === true)
    .map(
      ({ label }) => `${label}: insecureSkipVerify is on: anyone on the network path can read and change the traffic`,
    );
  const own = sinks.flatMap((sink) =>
    (definitionOf(sink).warnings?.(sink) ?? []).map((warning) => `sink ${sink.name}: ${warning}`),
  );
  return [...unverified, ...own];
}
