import type { Config } from '../config/schema.ts';
import { FileBackend } from '../state/file/file-backend.ts';
import type { StateBackend, TenantIdentity } from '../state/store.ts';
import type { Context } from './context.ts';

/** The state that `config` names. Nothing is opened or created yet. */
export const openState = ({ state }: Config, { emit, now }: Pick<Context, 'emit' | 'now'>): StateBackend =>
  new FileBackend({ directory: state.directory, emit, now });

/** The tenant whose state `config` uses. */
export const tenantIdentity = ({ source }: Config): TenantIdentity => ({
  name: new URL(source.url).hostname,
  origin: source.url,
});
