import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import { FileStore } from '../state/file/checkpoint-files.ts';
import { DeadLetterFile } from '../state/file/dead-letter-files.ts';
import { lockState } from '../state/file/lock.ts';
import { prepareState } from '../state/file/state-directory.ts';
import type { CheckpointStore, TenantIdentity } from '../state/store.ts';
import type { Context } from './context.ts';

/** The state of one tenant, owned by this process. */
export interface TenantState extends CheckpointStore, AsyncDisposable {
  deadLetters(sink: string): DeadLetterFile;
}

/** The state that `config` names. Nothing is opened or created yet. */
export function openState({ state: { directory } }: Config, { emit, now }: Pick<Context, 'emit' | 'now'>) {
  return {
    async own({ origin }: TenantIdentity, _signals: ShutdownSignals): Promise<TenantState> {
      await prepareState(directory);
      const lock = await lockState(directory, now);
      const store = await FileStore.open({ directory: join(directory, 'checkpoints'), source: origin, emit, now });
      return {
        load: (sink) => store.load(sink),
        save: (checkpoint) => store.save(checkpoint),
        list: () => store.list(),
        deadLetters: (name) => new DeadLetterFile({ directory: join(directory, 'dead-letter'), name, now }),
        [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
      };
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** The tenant whose state `config` uses. */
export const tenantIdentity = ({ source }: Config): TenantIdentity => ({
  name: new URL(source.url).hostname,
  origin: source.url,
});
