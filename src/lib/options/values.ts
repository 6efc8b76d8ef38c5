import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { Secret, SecretSource } from '../secret.ts';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

/** Milliseconds of `500ms 15s 5m 1h 1d`, or undefined. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * (units[match[2] ?? ''] ?? Number.NaN));
}

/** Bytes of `512KiB 1MiB 64B`, or undefined. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12})(B|KiB|MiB|GiB|KB|MB|GB)$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (sizes[match[2] ?? ''] ?? Number.NaN);
}

const durationForm = 'write a duration such as 500ms, 15s, 5m or 1h';

/** A duration; parses to milliseconds. Bounds are in milliseconds. */
export function duration(minMs = 1, maxMs = 366 * 86_400_000) {
  return z
    .string(durationForm)
    .regex(/^\d{1,9}(\.\d{1,3})?(ms|s|m|h|d)$/, durationForm)
    .transform((text) => parseDuration(text) ?? Number.NaN)
    .refine((ms) => ms >= minMs && ms <= maxMs, `must lie between ${minMs} ms and ${maxMs} ms`);
}

const sizeForm = 'write a size such as 512KiB or 1MiB';

/** A size; parses to bytes. A bare number is bytes too. */
export function size(minBytes = 1, maxBytes = 1024 ** 3) {
  return z
    .union([z.int(), z.string().regex(/^\d{1,12}(B|KiB|MiB|GiB|KB|MB|GB)$/, sizeForm)], sizeForm)
    .transform((value) => (typeof value === 'number' ? value : (parseSize(value) ?? Number.NaN)))
    .refine((bytes) => bytes >= minBytes && bytes <= maxBytes, `must lie between ${minBytes} and ${maxBytes} bytes`);
}

/** What is wrong with a secret's text, without quoting it; undefined where nothing is. */
export function secretProblem(text: string): string | undefined {
  const value = text.replace(/\r?\n$/, '');
  if (value.trim() === '') return 'is empty';
  if (/[\u0000-\u001f\u007f-\u009f]/.test(value)) return 'holds a control character (a line break or a tab?)';
  if (/[^\u0000-\u00ff]/.test(value)) return 'holds a character that no HTTP header can carry';
  return undefined;
}

/** A secret's text as used: without one trailing line end. */
export const secretText = (text: string): string => text.replace(/\r?\n$/, '');

/** A secret given by value. */
export function secretValue(description: string) {
  return z
    .string()
    .superRefine((text, context) => {
      const problem = secretProblem(text);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    })
    .transform((text) => {
      const secret = new Secret(secretText(text));
      return new SecretSource(() => secret);
    })
    .describe(description);
}

/** A secret in a file, read again by `refresh`. No message names the path: the secret itself may stand there by mistake. */
export function secretFile(description: string) {
  return z
    .string()
    .min(1)
    .transform((path, context) => {
      try {
        return new SecretSource(() => secretIn(path), path);
      } catch (error) {
        context.addIssue({ code: 'custom', message: `the file ${fileProblem(error)}` });
        return z.NEVER;
      }
    })
    .describe(description);
}

class SecretProblem extends Error {}

function secretIn(path: string): Secret {
  const text = readFileSync(path, 'utf8');
  const problem = secretProblem(text);
  if (problem !== undefined) throw new SecretProblem(problem);
  return new Secret(secretText(text));
}

/** A file that must exist and be readable when the configuration is read; `judge` tells what is wrong with its text. */
export function existingFile(description: string, judge: (text: string) => string | undefined = () => undefined) {
  return z
    .string()
    .min(1)
    .superRefine((path, context) => {
      try {
        const problem = judge(readFileSync(path, 'utf8'));
        if (problem !== undefined) context.addIssue({ code: 'custom', message: `the file ${problem}` });
      } catch (error) {
        context.addIssue({ code: 'custom', message: `the file ${fileProblem(error)}` });
      }
    })
    .describe(description);
}

/** What is wrong with a file that can't be used, without its text. */
export function fileProblem(error: unknown): string {
  if (error instanceof SecretProblem) return error.message;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'is not readable for this user';
  if (code === 'EISDIR') return 'is a directory';
  return `can't be read (${code})`;
}

/**
 * For a check over several keys: lets it run where single keys are wrong too, so that all problems come at once. Keys
 * that are wrong then hold what stood in the file, of whatever type.
 */
export const runEvenIfInvalid = {
  when: ({ value }: { value: unknown }) => typeof value === 'object' && value !== null,
};

/** The one of a value and a file that is given; a problem where none is, or both are. */
export function oneSecret(key: string) {
  return (options: Readonly<Record<string, unknown>>, context: z.core.$RefinementCtx) => {
    const given = [key, `${key}File`].filter((name) => options[name] !== undefined);
    if (given.length === 0) context.addIssue({ code: 'custom', path: [key], message: `needs ${key} or ${key}File` });
    if (given.length === 2)
      context.addIssue({ code: 'custom', path: [`${key}File`], message: `give ${key} or ${key}File, not both` });
  };
}

/** `localhost`, 127.0.0.0/8 or ::1, as written: no name is looked up. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** A proxy; user and password in it are secret. */
export const proxyUrl = z
  .string()
  .superRefine((text, context) => {
    const url = URL.parse(text);
    if (url === null || !['http:', 'https:'].includes(url.protocol) || url.hostname === '')
      context.addIssue({ code: 'custom', message: 'write http://host:port' });
  })
  .transform((text) => new Secret(text))
  .describe('HTTP proxy, http://host:port; may carry user:password@.');
