import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSeals } from '../../src/cli/evidence/input.ts';
import { verifyChain } from '../../src/evidence/chain.ts';
import { newKey, verifyingKey } from '../../src/evidence/keys.ts';
import { RecordVerifier } from '../../src/evidence/verify-records.ts';
import { idOf, type ReceivedRecord } from './checker.ts';
import type { Workspace } from './workspace.ts';

/** Makes a key in the workspace. @returns the block `evidence` of a configuration */
export function evidenceIn(directory: string): string {
  const { privatePem, publicPem } = newKey();
  writeFileSync(join(directory, 'seal.key'), privatePem, { mode: 0o600 });
  writeFileSync(join(directory, 'seal.pub'), publicPem);
  return `evidence: { keyFile: "${join(directory, 'seal.key')}", inSink: false }\n`;
}

/** Everything that the seals of a sink and the records it received break. What is not sealed yet breaks nothing. */
export async function sealFaults(
  { directory, state, publicKey }: Pick<Workspace, 'directory' | 'state' | 'publicKey'>,
  sink: string,
  received: readonly ReceivedRecord[],
): Promise<string[]> {
  const seals = join(state, 'evidence');
  if (!existsSync(seals)) return [`${sink}: no seal was written in ${directory}`];
  const { found, damaged } = await readSeals(seals);
  const own = found.filter(({ seal }) => seal.sink === sink);
  const end = own.at(-1)?.seal;
  // A kit that verifies empty chains would show nothing.
  if (end === undefined || end.tree.size === 0) return [`${sink}: nothing is sealed`];
  const chain = verifyChain(own, { publicKey: verifyingKey(publicKey) });
  using verifier = new RecordVerifier(chain);
  for (const { text } of received) {
    const id = idOf(text);
    if (id <= BigInt(end.to.after)) verifier.add({ kind: 'record', id: String(id), bytes: Buffer.from(text) });
  }
  const { flaws } = verifier.finish();
  const broken = [...chain.flaws, ...flaws].filter(({ verdict }) => verdict === 'broken').map(({ detail }) => detail);
  return [...damaged, ...broken].map((detail) => `${sink}: ${detail}`);
}
