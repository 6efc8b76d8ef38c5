import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { KeyProblem, type SigningKey, signingKey } from '../evidence/keys.ts';
import { duration, fileProblem } from '../lib/options/values.ts';
import { sinkName } from '../sinks/common-options.ts';

/** A private key that was read from a file. It can't be printed. */
export interface KeyFile {
  readonly path: string;
  readonly key: SigningKey;
}

const keyFile = (description: string) =>
  z
    .string()
    .min(1)
    .transform((path, context): KeyFile => {
      try {
        return { path, key: signingKey(readFileSync(path, 'utf8')) };
      } catch (error) {
        const problem = error instanceof KeyProblem ? error.message : fileProblem(error);
        context.addIssue({ code: 'custom', message: `the file ${problem}` });
        return z.NEVER;
      }
    })
    .describe(description);

/** The `evidence` block. */
export const evidenceOptions = z
  .strictObject({
    every: duration(60_000, 86_400_000).prefault('1h').describe('Longest interval that one seal covers, 1m to 24h.'),
    keyFile: keyFile(
      'Ed25519 private key (PEM, PKCS#8) that signs the seals; make one with "evidence init". Without it the seals detect accidents, not intent.',
    ).optional(),
    previousKeyFile: keyFile(
      'The key that signed the seals before, after a change of keyFile: it hands over to the new one.',
    ).optional(),
    inSink: z.boolean().default(true).describe('Also send each seal to the sink itself, as a record of the forwarder.'),
    also: z.array(sinkName).default([]).describe('Names of further sinks that get a copy of each seal.'),
  })
  .optional()
  .describe('Seals: proof that no event is missing, changed or doubled. Off when absent.');

/** Sinks that get copies must exist. */
export function requireSinks(
  { evidence, sinks }: { readonly evidence?: unknown; readonly sinks?: unknown },
  context: z.core.$RefinementCtx,
): void {
  const also: unknown = typeof evidence === 'object' && evidence !== null ? Reflect.get(evidence, 'also') : undefined;
  if (!Array.isArray(also) || !Array.isArray(sinks)) return;
  const names = sinks.map((sink: { name?: unknown; type?: unknown } | null) => sink?.name ?? sink?.type);
  for (const [index, name] of also.entries()) {
    if (typeof name !== 'string' || names.includes(name)) continue;
    context.addIssue({ code: 'custom', path: ['evidence', 'also', index], message: `there is no sink ${name}` });
  }
}
