// Above 250 lines: saving, reading and judging the two files of a sink belong together.
import { lstat, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Mutex } from '../../lib/mutex.ts';
import { printable } from '../../lib/printable.ts';
import type { Emit } from '../../telemetry/telemetry-event.ts';
import { type Parsed, parse, print } from '../checkpoint-text.ts';
import {
  type Checkpoint,
  CheckpointProblem,
  type CheckpointState,
  type CheckpointStore,
  type RenameCheck,
  StateProblem,
} from '../store.ts';
import {
  ignore,
  isFileSystems,
  isSameFile,
  makeDirectory,
  moveFile,
  readText,
  replaceFile,
  syncDirectory,
} from './durable.ts';

export interface CheckpointFilesOptions {
  /** `<state>/checkpoints`; created by the first save. */
  readonly directory: string;
  /** Origin of `source.url`. */
  readonly source: string;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One of a sink's two files. `not a file`: a link or a directory, for example. */
type Generation = Parsed | { readonly kind: 'missing' } | { readonly kind: 'not a file'; readonly detail: string };

interface Generations {
  readonly newest: Generation;
  readonly previous: Generation;
}

interface Paths {
  readonly newest: string;
  readonly previous: string;
}

/**
 * The checkpoint of each sink in `<sink>.json`, and the generation before it in `<sink>.previous.json`.
 *
 * A start uses the newest file, or the one before it if the newest is damaged or missing. While the process runs, memory
 * holds the newest checkpoint of each sink as well: files that another program removes are written again.
 */
export class CheckpointFiles implements CheckpointStore {
  readonly #options: CheckpointFilesOptions;
  /** Sinks whose newest file is damaged: it must not replace the good generation before it. */
  readonly #damaged = new Set<string>();
  /** Sinks whose fallback was reported. */
  readonly #reported = new Set<string>();
  /** What was last loaded or saved, by sink. */
  readonly #current = new Map<string, Checkpoint>();
  /** A file is replaced through one temporary name, so one after the other. */
  readonly #writes = new Mutex();

  constructor(options: CheckpointFilesOptions) {
    this.#options = options;
  }

  async load(sink: string): Promise<Checkpoint | undefined> {
    await this.#restore(sink);
    // At a reload the predecessor may be saving: what is read here must not replace what it saves meanwhile.
    return await this.#writes.take(() => this.#load(sink));
  }

  async #load(sink: string): Promise<Checkpoint | undefined> {
    const generations = await this.#read(sink);
    const { newest } = this.#paths(sink);
    for (const generation of Object.values(generations))
      if (generation.kind === 'not a file') throw new StateProblem(generation.detail);
    const found = this.#stateOf(sink, generations);
    if (found === undefined) return undefined;
    const { condition, checkpoint, detail } = found;
    if (condition === 'newer') throw new CheckpointProblem(`the checkpoint of sink ${sink} can't be used: ${detail}`);
    if (checkpoint === undefined) throw this.#unusable(sink, detail);
    if (condition === 'damaged')
      throw new CheckpointProblem(
        `${newest} belongs to sink ${checkpoint.sink}: put the right file back, or use "cursor rename"`,
      );
    if (condition === 'other tenant')
      throw new CheckpointProblem(
        `the checkpoint of sink ${sink} belongs to ${checkpoint.source}, but source.url is ${this.#options.source}: ids of another tenant have no meaning here. Use another state.directory, or take it over with "cursor set ${sink} ID"`,
      );
    if (generations.newest.kind === 'damaged') this.#damaged.add(sink);
    if (condition === 'fallback') this.#reportFallback(sink, found);
    this.#current.set(sink, checkpoint);
    return checkpoint;
  }

  save(checkpoint: Checkpoint): Promise<void> {
    return this.#writes.take(async () => {
      const { sink } = checkpoint;
      await this.#write(checkpoint, this.#damaged.has(sink) ? undefined : this.#paths(sink).previous);
      this.#damaged.delete(sink);
      this.#current.set(sink, checkpoint);
    });
  }

  /** Twice, so that both generations are the new one. */
  async overwrite(checkpoint: Checkpoint): Promise<void> {
    await this.save(checkpoint);
    await this.save(checkpoint);
  }

  /** After a crash between the two steps the newest file is still there. */
  remove(sink: string): Promise<void> {
    return this.#writes.take(async () => {
      this.#current.delete(sink);
      const { newest, previous } = this.#paths(sink);
      for (const path of [previous, newest]) await unlink(path).catch(ignore('ENOENT'));
      await syncDirectory(this.#options.directory);
    });
  }

  /** Sinks with a file here, damaged ones too; none if the directory is missing. @throws the file system's error */
  async inspect(): Promise<CheckpointState[]> {
    const names = (await readdir(this.#options.directory).catch(ignore('ENOENT'))) ?? [];
    const sinks = names.flatMap((name) => /^([a-z0-9][a-z0-9_-]{0,62})(?:\.previous)?\.json$/.exec(name)?.[1] ?? []);
    const states = [...new Set(sinks)].sort().map(async (sink) => this.#stateOf(sink, await this.#read(sink)));
    return (await Promise.all(states)).filter((state) => state !== undefined);
  }

  /** Nothing may have the new name, except what an interrupted attempt, or a person, moved already. */
  async checkRename(from: string, to: string): Promise<RenameCheck> {
    const [old, taken] = [await this.#read(from), await this.#read(to)];
    const paths = { old: this.#paths(from), taken: this.#paths(to) };
    for (const which of ['newest', 'previous'] as const) {
      const generation = taken[which];
      if (generation.kind === 'missing') continue;
      const moved = old[which].kind === 'missing' || (await isSameFile(paths.old[which], paths.taken[which]));
      if (!moved || generation.kind !== 'checkpoint' || generation.checkpoint.sink !== from)
        return { kind: 'taken', what: 'checkpoint', location: paths.taken[which] };
    }
    const merged = {
      newest: old.newest.kind === 'missing' ? taken.newest : old.newest,
      previous: old.previous.kind === 'missing' ? taken.previous : old.previous,
    };
    const state = this.#stateOf(from, merged);
    if (state === undefined) return { kind: 'missing' };
    const { condition, detail = '' } = state;
    return condition === 'newer' || condition === 'damaged'
      ? { kind: condition, detail }
      : { kind: 'possible', deadLetters: [] };
  }

  /** Interrupted at any moment, it leaves each file under one of the two names. */
  async rename(from: string, to: string): Promise<void> {
    const [old, target] = [this.#paths(from), this.#paths(to)];
    await moveFile(old.previous, target.previous);
    await moveFile(old.newest, target.newest);
    const { checkpoint } = this.#stateOf(from, await this.#read(to)) ?? {};
    if (checkpoint === undefined) throw new Error(`the renamed checkpoint ${target.newest} can't be read`);
    this.#current.delete(from);
    // The seals of the old name stay; a chain names its sink, so a new one begins.
    const { seal: _, ...rest } = checkpoint;
    await this.overwrite({ ...rest, sink: to });
  }

  /** Writes again what was removed since it was loaded or saved. @throws the file system's error */
  async restore(): Promise<void> {
    for (const sink of this.#current.keys()) await this.#restore(sink);
  }

  #restore(sink: string): Promise<void> {
    return this.#writes.take(async () => {
      const checkpoint = this.#current.get(sink);
      const { newest } = this.#paths(sink);
      if (checkpoint === undefined || (await lstat(newest).catch(ignore('ENOENT'))) !== undefined) return;
      await this.#write(checkpoint);
      const detail = `${newest} was removed while this process runs; it was written again from memory`;
      this.#options.emit({ event: 'daemon.warning', topic: 'state', detail });
    });
  }

  async #write(checkpoint: Checkpoint, keepAs?: string): Promise<void> {
    const { directory, now } = this.#options;
    const text = print(checkpoint, new Date(now()).toISOString());
    const path = this.#paths(checkpoint.sink).newest;
    try {
      await replaceFile(path, text, keepAs);
    } catch (error) {
      // Nothing was saved yet, or the directory was removed.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await makeDirectory(directory);
      await replaceFile(path, text, keepAs);
    }
  }

  async #read(sink: string): Promise<Generations> {
    const { newest, previous } = this.#paths(sink);
    const [one, other] = await Promise.all([readGeneration(newest), readGeneration(previous)]);
    return { newest: one, previous: other };
  }

  /** Undefined if there is no file. */
  #stateOf(sink: string, { newest, previous }: Generations): CheckpointState | undefined {
    const paths = this.#paths(sink);
    const both = [
      { path: paths.newest, ...newest },
      { path: paths.previous, ...previous },
    ];
    const newer = both.find(({ kind }) => kind === 'newer');
    if (newer?.kind === 'newer') return { sink, condition: 'newer', detail: newerDetail(newer, sink) };
    const good = both.find((generation) => generation.kind === 'checkpoint');
    if (good?.kind !== 'checkpoint') {
      const bad = both.find(({ kind }) => kind === 'damaged' || kind === 'not a file');
      return bad && { sink, condition: 'damaged', detail: 'detail' in bad ? bad.detail : '' };
    }
    const { checkpoint, updatedAt } = good;
    const rest = { sink, checkpoint, updatedAt };
    if (checkpoint.sink !== sink)
      return { ...rest, condition: 'damaged', detail: `it belongs to sink ${checkpoint.sink}` };
    if (checkpoint.source !== this.#options.source)
      return { ...rest, condition: 'other tenant', detail: `it belongs to ${checkpoint.source}` };
    if (newest.kind === 'checkpoint') return { ...rest, condition: 'good' };
    const why = newest.kind === 'missing' ? 'missing' : `damaged (${'detail' in newest ? newest.detail : ''})`;
    return { ...rest, condition: 'fallback', detail: `the newest file is ${why}, this is the generation before it` };
  }

  #reportFallback(sink: string, { detail, updatedAt }: CheckpointState): void {
    if (this.#reported.has(sink)) return;
    this.#reported.add(sink);
    this.#options.emit({
      event: 'checkpoint.fallback',
      sink,
      detail: `${this.#paths(sink).newest}: ${detail}, saved at ${updatedAt}; events confirmed since then are delivered again`,
    });
  }

  #unusable(sink: string, detail = ''): CheckpointProblem {
    const { newest } = this.#paths(sink);
    return new CheckpointProblem(
      `the checkpoint of sink ${sink} is damaged and no earlier generation is good: ${newest}: ${detail}. Nothing was changed. Look up the last delivered id in the SIEM and set it with "cursor set ${sink} ID"; "cursor reset ${sink}" starts again by startAt`,
    );
  }

  #paths(sink: string): Paths {
    const { directory } = this.#options;
    return { newest: join(directory, `${sink}.json`), previous: join(directory, `${sink}.previous.json`) };
  }
}

const newerDetail = ({ path, detail }: { readonly path: string; readonly detail: string }, sink: string) =>
  `${path} was written by a newer version of this program: ${detail}. Install that version again, or move ${path} away and set the cursor with "cursor set ${sink} ID"`;

async function readGeneration(path: string): Promise<Generation> {
  try {
    const text = await readText(path);
    return text === undefined ? { kind: 'missing' } : parse(text);
  } catch (error) {
    if (!isFileSystems(error)) throw error;
    const { code, message } = error;
    if (code === 'EFBIG') return { kind: 'damaged', detail: printable(message) };
    const what = code === 'ELOOP' ? 'a link, and links are not followed here' : 'not a regular file';
    if (code === 'ELOOP' || code === 'EISDIR' || code === 'ENXIO')
      return { kind: 'not a file', detail: `${path} is ${what}: move it away` };
    throw error;
  }
}
