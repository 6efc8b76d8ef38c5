import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { printable } from '../../lib/printable.ts';
import type { Emit } from '../../telemetry/telemetry-event.ts';
import type { HeartbeatState } from '../store.ts';
import { isFileSystems, readText, replaceFile } from './durable.ts';

const version = 1;
/** The largest time a Date can hold, milliseconds since the epoch. */
const maxTimeMs = 8.64e15;

/** The heartbeat's state in `<state>/feed.json`. Nothing depends on it but what is announced after a restart. */
export class HeartbeatFile {
  readonly #path: string;
  readonly #emit: Emit;

  constructor(directory: string, emit: Emit) {
    this.#path = join(directory, 'feed.json');
    this.#emit = emit;
  }

  /** Returns undefined if the file is missing or damaged; a damaged file is renamed, with a warning. */
  async load(): Promise<HeartbeatState | undefined> {
    const found = await this.#read();
    if (typeof found !== 'string') return found;
    const damaged = `${this.#path}.damaged`;
    try {
      await rename(this.#path, damaged);
      this.#warn(`${this.#path} is damaged (${found}); it was renamed to ${damaged} and nothing else is affected`);
    } catch (error) {
      if (!isFileSystems(error)) throw error;
      this.#warn(`${this.#path} is damaged (${found}) and can't be renamed (${printable(error.message)}): remove it`);
    }
    return undefined;
  }

  /** @throws the file system's error */
  async save({ operations, aliveAtMs }: HeartbeatState): Promise<void> {
    await replaceFile(this.#path, `${JSON.stringify({ version, operations, aliveAtMs })}\n`);
  }

  /** The state, or why it can't be read. */
  async #read(): Promise<HeartbeatState | string | undefined> {
    try {
      const text = await readText(this.#path);
      return text === undefined ? undefined : parse(text);
    } catch (error) {
      if (error instanceof SyntaxError || isFileSystems(error)) return printable(error.message);
      throw error;
    }
  }

  #warn(detail: string): void {
    this.#emit({ event: 'daemon.warning', topic: 'state', detail });
  }
}

function parse(text: string): HeartbeatState | string {
  const { version: found, operations, aliveAtMs } = Object(JSON.parse(text)) as Record<string, unknown>;
  if (found !== version) return `its version is not ${version}`;
  if (typeof operations !== 'number' || !Number.isSafeInteger(operations) || operations < 0)
    return 'operations is no position';
  if (typeof aliveAtMs !== 'number' || !(aliveAtMs >= 0 && aliveAtMs <= maxTimeMs)) return 'aliveAtMs is no time';
  return { operations, aliveAtMs };
}
