import { tenantIdentity } from '../../app/open-state.ts';
import type { Config } from '../../config/schema.ts';
import { quoted } from '../arguments.ts';
import { UsageError, type Values } from '../command.ts';

/** @throws {UsageError} if `--tenant` names another tenant than the configured one */
export function requireTenant({ tenant }: Values, config: Config): void {
  const { name } = tenantIdentity(config);
  if (typeof tenant === 'string' && tenant !== name)
    throw new UsageError(`there is no tenant ${quoted(tenant)}: the tenant is ${name}`);
}
