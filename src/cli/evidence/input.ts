import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { FoundSeal } from '../../evidence/chain.ts';
import { exportedLine } from '../../evidence/exported-line.ts';
import { parseSeal, sealOf } from '../../evidence/seal.ts';
import { printable } from '../../lib/printable.ts';

/** An input that can't be read, or is of another kind: exit code 78. The message names file and line. */
export class InputProblem extends Error {
  override readonly name = 'InputProblem';
}

/** A longer line is no record, bytes. */
const longestLine = 64 * 1024 ** 2;
const newline = 0x0a;

/** The lines of a file, gzip or not; `-` is standard input. @throws {InputProblem} */
export async function* linesOf(path: string): AsyncGenerator<{ readonly line: Buffer; readonly number: number }> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let number = 0;
  const take = (end: Buffer) => {
    const line = rest.length === 0 ? end : Buffer.concat([...rest, end]);
    rest = [];
    restBytes = 0;
    number += 1;
    return { line, number };
  };
  for await (const chunk of bytesOf(path)) {
    let from = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
      yield take(chunk.subarray(from, at));
      from = at + 1;
    }
    rest.push(chunk.subarray(from));
    restBytes += chunk.length - from;
    if (restBytes > longestLine)
      throw new InputProblem(`${path} line ${number + 1} is longer than 64 MiB: is it NDJSON?`);
  }
  if (restBytes > 0) yield take(Buffer.alloc(0));
}

async function* bytesOf(path: string): AsyncGenerator<Buffer> {
  const stream = path === '-' ? process.stdin : createReadStream(path);
  let gunzip: ReturnType<typeof createGunzip> | undefined;
  try {
    let isFirst = true;
    const chunks = stream as AsyncIterable<Buffer>;
    const iterator = chunks[Symbol.asyncIterator]();
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      const chunk = next.value;
      if (isFirst && chunk[0] === 0x1f && chunk[1] === 0x8b) {
        gunzip = createGunzip();
        yield* unzipped(gunzip, chunk, iterator);
        return;
      }
      isFirst = false;
      yield chunk;
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string') throw error;
    const why = code === 'ENOENT' ? 'does not exist' : `can't be read (${code.startsWith('Z') ? message : code})`;
    throw new InputProblem(`${printable(path, 500)} ${why}`);
  } finally {
    gunzip?.destroy();
  }
}

async function* unzipped(
  gunzip: ReturnType<typeof createGunzip>,
  first: Buffer,
  rest: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer> {
  const feeding = (async () => {
    gunzip.write(first);
    for (let next = await rest.next(); next.done !== true; next = await rest.next())
      if (!gunzip.write(next.value)) await new Promise((resolve) => gunzip.once('drain', resolve));
    gunzip.end();
  })();
  // A read error of the file: the reader of the gunzip gets it.
  feeding.catch((error: Error) => gunzip.destroy(error));
  yield* gunzip as AsyncIterable<Buffer>;
  await feeding;
}

/** What `--seals` leads to. */
export interface SealInput {
  readonly found: readonly FoundSeal[];
  /** Lines that are meant to be seals and are damaged, and files that mix chains; each makes the chain broken. */
  readonly damaged: readonly string[];
}

const sealFile = /\.(ndjson|jsonl|json)(\.gz)?$/;

/** Reads seals from a file, or from every NDJSON file below a directory. @throws {InputProblem} */
export async function readSeals(path: string): Promise<SealInput> {
  const found: FoundSeal[] = [];
  const damaged: string[] = [];
  for (const file of await filesIn(path)) {
    const own = await readSealFile(file, damaged);
    found.push(...own);
  }
  return { found, damaged };
}

async function filesIn(path: string): Promise<string[]> {
  const entry = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (typeof error.code !== 'string') throw error;
    throw new InputProblem(
      `${printable(path, 500)} ${error.code === 'ENOENT' ? 'does not exist' : `can't be read (${error.code})`}`,
    );
  });
  if (!entry.isDirectory()) return [path];
  const names = await readdir(path, { recursive: true });
  return names
    .filter((name) => sealFile.test(name))
    .sort()
    .map((name) => join(path, name));
}

async function readSealFile(file: string, damaged: string[]): Promise<FoundSeal[]> {
  const found: FoundSeal[] = [];
  const foreign: string[] = [];
  for await (const { line, number } of linesOf(file)) {
    if (line.length === 0) continue;
    const place = `${file}:${number}`;
    const text = line.toString('utf8');
    const parsed = parseSeal(text);
    if (parsed.kind === 'seal') found.push({ seal: parsed.seal, line: parsed.line, text, place });
    else if (parsed.kind === 'damaged') damaged.push(`${place}: ${parsed.detail}`);
    else {
      const exported = exportedSeal(line);
      if (exported === undefined) foreign.push(`${file} line ${number} is no seal: ${parsed.detail}`);
      else if (exported.kind === 'seal') found.push({ seal: exported.seal, line: exported.line, place });
      else if (exported.kind === 'damaged') damaged.push(`${place}: ${exported.detail}`);
    }
  }
  const [first] = foreign;
  if (first !== undefined && found.length === 0 && damaged.length === 0) throw new InputProblem(first);
  damaged.push(...foreign);
  const chains = new Set(
    found.filter(({ text }) => text !== undefined).map(({ seal }) => `${seal.tenant} ${seal.sink}`),
  );
  if (chains.size > 1) damaged.push(`${file}: it holds seals of ${chains.size} chains, so some were moved`);
  return found;
}

/** The seal in a record of an export; `foreign` for any other record, undefined for what is no record. */
function exportedSeal(line: Buffer): ReturnType<typeof sealOf> | undefined {
  const exported = exportedLine(line);
  if (exported.kind === 'unreadable') return undefined;
  if (exported.kind === 'record' || exported.body['event'] !== 'forwarder.sealed')
    return { kind: 'foreign', detail: 'another record' };
  return sealOf(exported.body['seal']);
}
