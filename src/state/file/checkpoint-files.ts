import { mkdir } from 'node:fs/promises';
import type { Emit } from '../../telemetry/telemetry-event.ts';
import { readText, replaceFile } from './durable.ts';
import { pathsOf, sinksIn } from './generations.ts';
import { type Checkpoint, CheckpointProblem, type CheckpointStore } from '../store.ts';
import { type Parsed, parse, print } from '../checkpoint-text.ts';

export interface FileStoreOptions {
  /** `<state>/checkpoints`; made where it is missing. */
  readonly directory: string;
  /** Origin of `source.url`. */
  readonly source: string;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One file a sink, and the generation before it beside it. */
export class FileStore implements CheckpointStore {
  readonly #options: FileStoreOptions;
  /** Sinks whose newest file is damaged: it must not take the place of the good one before it. */
  readonly #damaged = new Set<string>();
  /** Sinks that were said to fall back. */
  readonly #told = new Set<string>();

  static async open(options: FileStoreOptions): Promise<FileStore> {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    return new FileStore(options);
  }

  private constructor(options: FileStoreOptions) {
    this.#options = options;
  }

  async load(sink: string): Promise<Checkpoint | undefined> {
    const [newest, previous] = await Promise.all([
      this.#read(this.#path(sink), sink),
      this.#read(this.#previous(sink), sink),
    ]);
    if (newest === undefined && previous === undefined) return undefined;
    const found = [newest, previous].find((parsed) => parsed?.kind === 'checkpoint');
    if (found?.kind !== 'checkpoint') throw this.#unusable(sink);
    if (newest?.kind === 'damaged') this.#damaged.add(sink);
    if (found !== newest && !this.#told.has(sink)) {
      this.#told.add(sink);
      const why = newest?.kind === 'damaged' ? `is damaged (${newest.detail})` : 'is missing';
      const detail = `${this.#path(sink)} ${why}: going on from the generation before, of ${found.updatedAt}; what was confirmed since then comes again`;
      this.#options.emit({ event: 'checkpoint.fallback', sink, detail });
    }
    const { checkpoint } = found;
    if (checkpoint.sink !== sink)
      throw new CheckpointProblem(
        `${this.#path(sink)} belongs to sink ${checkpoint.sink}: put the right file back, or use "cursor rename"`,
      );
    if (checkpoint.source !== this.#options.source)
      throw new CheckpointProblem(
        `the checkpoint of sink ${sink} belongs to ${checkpoint.source}, source.url is ${this.#options.source}: ids of another tenant mean nothing here. Use another state.directory, or take it over with "cursor set ${sink} ID"`,
      );
    return checkpoint;
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    const updatedAt = new Date(this.#options.now()).toISOString();
    const { sink } = checkpoint;
    const keepAs = this.#damaged.has(sink) ? undefined : this.#previous(sink);
    await replaceFile(this.#path(sink), print(checkpoint, updatedAt), keepAs);
    this.#damaged.delete(sink);
  }

  async list(): Promise<string[]> {
    return sinksIn(this.#options.directory);
  }

  async #read(path: string, sink: string): Promise<Parsed | undefined> {
    const text = await readText(path);
    return text === undefined ? undefined : parse(text, sink);
  }

  #unusable(sink: string): CheckpointProblem {
    return new CheckpointProblem(
      `the checkpoint of sink ${sink} is damaged and there is no good generation before it: ${this.#path(sink)}. Nothing was changed. Look up the last delivered id in the SIEM and set it with "cursor set ${sink} ID"; "cursor reset ${sink}" begins anew`,
    );
  }

  #path(sink: string): string {
    return pathsOf(this.#options.directory, sink).newest;
  }

  #previous(sink: string): string {
    return pathsOf(this.#options.directory, sink).previous;
  }
}
