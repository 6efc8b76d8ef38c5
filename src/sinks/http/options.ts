import * as z from 'zod';
import { runEvenIfInvalid, secretFile, secretValue } from '../../lib/options/values.ts';
import { batchKeys, checkRecords, entry } from '../common-options.ts';
import { basicKeys, checkBasic, checkPlainHttp, headerName, headersBlock, httpKeys, httpUrl } from '../http-options.ts';
import { type PresetName, presetNames, presets } from './presets.ts';

const nameOfHeader = z.string().regex(headerName, 'must be the name of a header');
const defaultBatch = { maxEvents: 1000, maxBytes: 1024 ** 2 };

/** Configuration of an `http` sink. What a preset sets has no default here. */
export const httpOptions = entry('http')
  .extend({
    url: httpUrl('URL that records are posted to, for example https://siem.example.com/ingest.'),
    preset: z.enum(presetNames).optional().describe('Sets body, compression, limits and the header of the key.'),
    headers: headersBlock.optional(),
    bearerToken: secretValue(
      'Sent as Authorization: Bearer …, or in the header that the preset names; write ${TOKEN}, not the value.',
    ).optional(),
    bearerTokenFile: secretFile('File that holds the bearer token.').optional(),
    ...basicKeys,
    body: z
      .enum(['ndjson', 'array', 'single'])
      .optional()
      .describe('One record a line (default), a JSON array, or one request a record.'),
    ...httpKeys,
    compression: httpKeys.compression.unwrap().optional().describe('Content encoding of requests; default gzip.'),
    signature: z
      .strictObject({
        key: secretValue('Key of the signature; write ${HMAC_KEY}, not the value.').optional(),
        keyFile: secretFile('File that holds the key of the signature.').optional(),
        header: nameOfHeader.default('X-Signature-256').describe('Header that carries the signature.'),
      })
      .refine(({ key, keyFile }) => (key === undefined) !== (keyFile === undefined), 'requires either key or keyFile')
      .optional()
      .describe('Signs each request: sha256= and the HMAC-SHA-256 of the bytes sent, in hex.'),
    idempotencyHeader: z
      .union([nameOfHeader, z.literal('')])
      .default('Idempotency-Key')
      .describe('Header whose value is the same whenever the same batch is sent; off when empty.'),
    batch: z
      .strictObject({ maxEvents: batchKeys.maxEvents.optional(), maxBytes: batchKeys.maxBytes.optional() })
      .prefault({})
      .describe('Size of one batch; default 1000 events and 1MiB, or the limits of the preset.'),
  })
  .superRefine(checkRecords, runEvenIfInvalid)
  .superRefine(checkPlainHttp(), runEvenIfInvalid)
  .superRefine(checkBasic, runEvenIfInvalid)
  .superRefine(checkCredentials, runEvenIfInvalid)
  .superRefine(checkPreset, runEvenIfInvalid)
  .transform(({ bearerToken, bearerTokenFile, password, passwordFile, signature, batch, ...rest }) => {
    const preset = rest.preset && presets[rest.preset];
    const body = rest.body ?? preset?.body ?? 'ndjson';
    const { maxEvents, maxBytes } = preset ?? defaultBatch;
    return {
      ...rest,
      body,
      compression: rest.compression ?? preset?.compression ?? 'gzip',
      token: bearerToken ?? bearerTokenFile,
      password: password ?? passwordFile,
      signature: signature && { header: signature.header, key: signature.key ?? signature.keyFile },
      // A single record is a batch of one, so that it has an answer of its own.
      batch: {
        maxEvents: body === 'single' ? 1 : (batch.maxEvents ?? maxEvents),
        maxBytes: batch.maxBytes ?? maxBytes,
      },
    };
  });

export type HttpSinkOptions = z.infer<typeof httpOptions>;

type Unchecked = Readonly<Record<string, unknown>>;

function checkCredentials(options: Unchecked, context: z.core.$RefinementCtx): void {
  const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  const token = ['bearerToken', 'bearerTokenFile'].find((key) => options[key] !== undefined);
  if (options.bearerToken !== undefined && options.bearerTokenFile !== undefined)
    complain('bearerTokenFile', 'set bearerToken or bearerTokenFile, not both');
  const isBearer = token !== undefined && presetOf(options)?.keyHeader === undefined;
  if (isBearer && options.username !== undefined)
    complain('username', `set username or ${token}, not both: a request has one Authorization header`);
  const named = headerNames(options);
  if (named.includes('authorization') && (isBearer || options.username !== undefined))
    complain('headers', `must not name Authorization beside ${isBearer ? token : 'username'}`);
  const { header } = (options.signature ?? {}) as { readonly header?: unknown };
  for (const [key, name] of [
    ['signature', header],
    ['idempotencyHeader', options.idempotencyHeader],
  ] as const)
    if (typeof name === 'string' && named.includes(name.toLowerCase()))
      complain('headers', `must not name ${name}, which ${key} sets`);
}

function checkPreset(options: Unchecked, context: z.core.$RefinementCtx): void {
  const preset = presetOf(options);
  if (preset === undefined) return;
  const name = String(options.preset);
  const complain = (path: readonly string[], message: string) =>
    context.addIssue({ code: 'custom', path: [...path], message });
  if (options.body !== undefined && options.body !== preset.body)
    complain(['body'], `contradicts preset: ${name}, which sends ${preset.body}: remove one of them`);
  const { maxEvents, maxBytes } = (options.batch ?? {}) as {
    readonly maxEvents?: unknown;
    readonly maxBytes?: unknown;
  };
  if (typeof maxEvents === 'number' && maxEvents > preset.maxEvents)
    complain(['batch', 'maxEvents'], `contradicts preset: ${name}, which allows at most ${preset.maxEvents}`);
  if (typeof maxBytes === 'number' && maxBytes > preset.maxBytes)
    complain(['batch', 'maxBytes'], `contradicts preset: ${name}, which allows at most ${preset.maxBytes} bytes`);
  if (options.format !== undefined && typeof options.format === 'string' && ['cef', 'leef'].includes(options.format))
    complain(['format'], `contradicts preset: ${name}, which takes JSON: use json, ecs or ocsf`);
  const token = ['bearerToken', 'bearerTokenFile'].find((key) => options[key] !== undefined);
  const named = headerNames(options);
  const { keyHeader } = preset;
  if (token !== undefined && keyHeader !== undefined && named.includes(keyHeader))
    complain(['headers'], `must not name ${keyHeader}, which preset: ${name} makes from ${token}`);
  for (const header of preset.requiredHeaders)
    if (!named.includes(header) && !(header === keyHeader && token !== undefined))
      complain(
        ['preset'],
        `requires the header ${header}: set it in headers${header === keyHeader ? ', or set bearerToken or bearerTokenFile' : ''}`,
      );
}

function presetOf({ preset }: Unchecked) {
  return presetNames.includes(preset as PresetName) ? presets[preset as PresetName] : undefined;
}

const headerNames = ({ headers }: Unchecked): string[] =>
  typeof headers === 'object' && headers !== null ? Object.keys(headers).map((name) => name.toLowerCase()) : [];
