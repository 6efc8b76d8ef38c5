// Above 250 lines: what any process may do, what the owner may do, and what `check` reports, over the same files.
import { lstat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Finding, failed, ok, timed, warning } from '../../lib/finding.ts';
import { printable } from '../../lib/printable.ts';
import type { Emit } from '../../telemetry/telemetry-event.ts';
import {
  type Checkpoint,
  type CheckpointState,
  type DeadLetterKind,
  type DeadLetterStore,
  Fenced,
  type HeartbeatState,
  type OperationsPage,
  type OperationsRecord,
  type RenameCheck,
  type SealStore,
  type SharedState,
  type StateBackend,
  StateLocked,
  StateProblem,
  type StateStore,
  type TenantIdentity,
} from '../store.ts';
import { CheckpointFiles } from './checkpoint-files.ts';
import { DeadLetterFile, deadLetterMoves, moveDeadLetters } from './dead-letter-files.ts';
import { ignore, isFileSystems } from './durable.ts';
import { HeartbeatFile } from './heartbeat-file.ts';
import { lockState, ownerOf, type StateLock } from './lock.ts';
import { OperationsFile } from './operations-file.ts';
import { SealFiles } from './seal-files.ts';
import { examineState, prepareState, usingState } from './state-directory.ts';

export interface FileBackendOptions {
  /** `state.directory` */
  readonly directory: string;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How often removed files are looked for, milliseconds; default 1,000. */
  readonly restoreEveryMs?: number;
}

/** State in a directory of the local file system. One process owns it at a time. */
export class FileBackend implements StateBackend {
  readonly location: string;
  readonly #options: FileBackendOptions;

  constructor(options: FileBackendOptions) {
    this.#options = options;
    this.location = options.directory;
  }

  async own(tenant: TenantIdentity): Promise<StateStore> {
    const { directory, now } = this.#options;
    return await usingState(directory, async () => {
      await prepareState(directory);
      return new FileStateStore(this.#options, tenant, await lockState(directory, now));
    });
  }

  share(tenant: TenantIdentity): SharedState {
    return new FileState(this.#options, tenant);
  }

  owner(): Promise<string | undefined> {
    return usingState(this.#options.directory, () => ownerOf(this.#options.directory));
  }

  async examine(): Promise<Finding[]> {
    let existing = this.location;
    const directory = await timed(async () => {
      const name = 'state directory';
      try {
        const missing = await examineState(this.location);
        if (missing === undefined) return ok(name, `${this.location} is writable`);
        existing = missing.parent;
        return ok(name, `${this.location} does not exist yet and can be created in ${existing}`);
      } catch (error) {
        if (!(error instanceof StateProblem)) throw error;
        const remedy = 'set state.directory, or STATE_DIRECTORY, to a directory that only this user can write to';
        return failed(name, 'state', error.message, remedy);
      }
    });
    if (directory.result === 'failed') return [directory];
    return [directory, await timed(() => examineSpace(existing))];
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** What needs no lock. */
class FileState implements SharedState {
  protected readonly options: FileBackendOptions;
  protected readonly checkpoints: CheckpointFiles;
  protected readonly letters: string;
  readonly #operations: OperationsFile;
  readonly #seals = new Map<string, SealFiles>();
  readonly #tenant: string;
  /** One for each file: the appends of a pipeline and of its successor after a reload take turns. */
  readonly #deadLetters = new Map<string, DeadLetterFile>();

  constructor(options: FileBackendOptions, { name, origin: source }: TenantIdentity) {
    const { directory, emit, now } = options;
    this.#tenant = name;
    this.options = options;
    this.letters = join(directory, 'dead-letter');
    this.checkpoints = new CheckpointFiles({ directory: join(directory, 'checkpoints'), source, emit, now });
    this.#operations = new OperationsFile({ directory, now });
  }

  inspect(): Promise<readonly CheckpointState[]> {
    return usingState(this.options.directory, () => this.checkpoints.inspect());
  }

  deadLetters(sink: string, kind: DeadLetterKind = 'delivery'): DeadLetterStore {
    const name = kind === 'delivery' ? sink : `${sink}.replay`;
    const open = this.#deadLetters.get(name);
    if (open !== undefined) return open;
    const file = new DeadLetterFile({ directory: this.letters, name, now: this.options.now });
    this.#deadLetters.set(name, file);
    return file;
  }

  seals(sink: string): SealStore {
    const { directory } = this.options;
    const path = join(directory, 'evidence', this.#tenant, sink);
    const files = this.#seals.get(sink) ?? new SealFiles(path, () => this.requireOwnership());
    this.#seals.set(sink, files);
    return files;
  }

  /** @throws {StateProblem} if this process may not change what only the owner changes */
  protected async requireOwnership(): Promise<void> {
    throw new StateProblem(`${this.options.directory} is not owned by this process`);
  }

  async record(record: OperationsRecord): Promise<void> {
    await usingState(this.options.directory, async () => {
      await prepareState(this.options.directory);
      await this.#operations.append(record);
    });
  }

  operations(from: number): Promise<OperationsPage> {
    return this.#operations.read(from);
  }
}

/**
 * What the owner of the lock may do.
 *
 * Another program may remove files while the process runs: a clean-up job, for example. Then the checkpoints are written
 * again from memory, and the lock is taken again on a new file. If there is a new file already, another process has owned
 * the state meanwhile, and may have moved a cursor: nothing is saved here any more.
 */
class FileStateStore extends FileState implements StateStore {
  readonly #heartbeat: HeartbeatFile;
  readonly #timer: NodeJS.Timeout;
  #lock: StateLock;
  #fenced: Fenced | undefined;
  /** Inode of a new lock.db that this process created and could not lock. */
  #unlocked: number | undefined;
  /** The last one reported. */
  #problem: string | undefined;
  #repairing: Promise<void> = Promise.resolve();

  constructor(options: FileBackendOptions, tenant: TenantIdentity, lock: StateLock) {
    super(options, tenant);
    this.#heartbeat = new HeartbeatFile(options.directory, options.emit);
    this.#lock = lock;
    this.#timer = setInterval(() => void this.#repairInTurn(), options.restoreEveryMs ?? 1_000).unref();
  }

  async load(sink: string): Promise<Checkpoint | undefined> {
    await this.requireOwnership();
    return await this.checkpoints.load(sink);
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    await this.requireOwnership();
    await this.checkpoints.save(checkpoint);
  }

  async overwrite(checkpoint: Checkpoint): Promise<void> {
    await this.requireOwnership();
    await usingState(this.options.directory, () => this.checkpoints.overwrite(checkpoint));
  }

  async remove(sink: string): Promise<void> {
    await this.requireOwnership();
    await usingState(this.options.directory, () => this.checkpoints.remove(sink));
  }

  async checkRename(from: string, to: string): Promise<RenameCheck> {
    return await usingState(this.options.directory, async () => {
      const check = await this.checkpoints.checkRename(from, to);
      if (check.kind !== 'possible') return check;
      const moves = await deadLetterMoves(this.letters, from, to);
      if (typeof moves === 'string') return { kind: 'taken', what: 'dead letters', location: moves };
      return { ...check, deadLetters: moves.map(({ name }) => name) };
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.requireOwnership();
    await usingState(this.options.directory, async () => {
      const moves = await deadLetterMoves(this.letters, from, to);
      if (typeof moves === 'string') throw new StateProblem(`${moves} exists already, and a rename never overwrites`);
      await moveDeadLetters(moves);
      await this.checkpoints.rename(from, to);
    });
  }

  loadHeartbeat(): Promise<HeartbeatState | undefined> {
    return this.#heartbeat.load();
  }

  async saveHeartbeat(state: HeartbeatState): Promise<void> {
    await this.requireOwnership();
    await this.#heartbeat.save(state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#repairInTurn();
    await this.#lock[Symbol.asyncDispose]();
  }

  /** @throws {Fenced} */
  protected override async requireOwnership(): Promise<void> {
    if (this.#fenced === undefined && !this.#lock.isInPlace()) await this.#repairInTurn();
    if (this.#fenced !== undefined) throw this.#fenced;
  }

  #repairInTurn(): Promise<void> {
    this.#repairing = this.#repairing.then(() => this.#repair());
    return this.#repairing;
  }

  /** Never rejects, except for a bug. */
  async #repair(): Promise<void> {
    if (this.#fenced !== undefined) return;
    const { directory } = this.options;
    try {
      if (!this.#lock.isInPlace()) {
        await prepareState(directory);
        const found = await inodeOf(join(directory, 'lock.db'));
        if (found !== undefined && found !== this.#unlocked)
          throw new Fenced(
            `${join(directory, 'lock.db')} was replaced while this process runs: another process has owned ${directory}`,
          );
        const lock = await this.#lockAgain();
        await this.#lock[Symbol.asyncDispose]();
        this.#lock = lock;
        this.#warn(
          `${join(directory, 'lock.db')} was removed while this process runs; it was created and locked again`,
        );
      }
      await this.checkpoints.restore();
      this.#problem = undefined;
    } catch (error) {
      if (error instanceof StateLocked)
        this.#fenced = new Fenced(`${error.message}. This process saves nothing any more`);
      else if (!isFileSystems(error) && !(error instanceof StateProblem)) throw error;
      const { message } = error as Error;
      if (message !== this.#problem) this.#warn(`the state directory can't be repaired: ${printable(message, 500)}`);
      this.#problem = message;
    }
  }

  async #lockAgain(): Promise<StateLock> {
    const { directory, now } = this.options;
    try {
      return await lockState(directory, now);
    } catch (error) {
      if (!(error instanceof StateLocked)) this.#unlocked = await inodeOf(join(directory, 'lock.db'));
      throw error;
    }
  }

  #warn(detail: string): void {
    this.options.emit({ event: 'daemon.warning', topic: 'state', detail });
  }
}

const inodeOf = async (path: string) => (await lstat(path).catch(ignore('ENOENT')))?.ino;

const mebibyte = 1024 ** 2;
const scarceBytes = 100 * mebibyte;
/** Types of network file systems (statfs(2)): their locks and syncs can't be relied on. */
const networkTypes: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
]);

async function examineSpace(directory: string): Promise<Finding> {
  const { bavail, bsize, type } = await statfs(directory);
  const bytes = bavail * bsize;
  const name = 'free space';
  const detail = `${Math.floor(bytes / mebibyte)} MiB are free`;
  const network = networkTypes.get(type);
  if (bytes < mebibyte)
    return failed(name, 'state', detail, 'free some space: nothing is delivered that cannot be checkpointed');
  if (network !== undefined)
    return warning(name, `${detail}; the file system is ${network}`, 'put state.directory on a local file system');
  return bytes < scarceBytes
    ? warning(name, detail, 'free some space: dead letters and checkpoints need it')
    : ok(name, detail);
}
