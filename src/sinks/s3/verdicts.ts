import type { HttpAnswer } from '../../lib/http.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import { statusVerdict } from '../http-batch.ts';

interface PutContext {
  readonly bucket: string;
  readonly url: string;
  readonly nowMs: number;
}

/** Codes of an answer 400 that pass (Amazon S3, "Error responses"). */
const temporaryCodes = ['RequestTimeout', 'BadDigest', 'IncompleteBody', 'OperationAborted'];

/**
 * The verdict on the answer to a conditional PUT. No event is ever refused for its content. `isProbe`: the request had a wrong
 * checksum on purpose.
 */
export function putVerdict(answer: HttpAnswer, { bucket, url, nowMs }: PutContext, isProbe: boolean): Verdict {
  const { status, headers, body } = answer;
  const code = /<Code>([A-Za-z]{1,64})<\/Code>/.exec(body.toString('latin1'))?.[1] ?? '';
  const quoted = `HTTP ${status}${code === '' ? '' : `, ${code}`}`;
  const stop = (reason: 'auth' | 'address', detail: string): Verdict => ({
    kind: 'stop',
    reason,
    detail: `${detail} (${quoted})`,
  });
  if (status === 412) return accepted;
  if (isProbe && status === 400 && code === 'BadDigest') return accepted;
  if (status === 409)
    return { kind: 'retry', reason: 'server', detail: `another request writes this object (${quoted})` };
  if (
    status === 301 ||
    status === 307 ||
    code === 'AuthorizationHeaderMalformed' ||
    code === 'IllegalLocationConstraintException'
  ) {
    const region =
      headers['x-amz-bucket-region'] ?? /<Region>([a-z0-9-]+)<\/Region>/.exec(body.toString('latin1'))?.[1];
    return stop(
      'address',
      `bucket ${bucket} is in another region: correct region${region === undefined ? '' : `, to ${region}`}`,
    );
  }
  if (status === 404)
    return stop('address', `bucket ${bucket} does not exist: create it, or correct bucket or endpoint`);
  if (code === 'RequestTimeTooSkewed') return stop('auth', 'the clock of this machine is wrong');
  if (status === 401 || status === 403)
    return stop(
      'auth',
      `${url} can’t be written: correct the credentials, or give them s3:PutObject there, and s3:PutObjectRetention for objectLock`,
    );
  if (status === 400 && temporaryCodes.includes(code))
    return { kind: 'retry', reason: 'server', detail: `the object did not arrive whole (${quoted})` };
  if (status === 400 && /Token|Security/.test(code)) return stop('auth', 'the session token is invalid or has expired');
  if (status === 400 && (code === 'InvalidRequest' || /ObjectLock/.test(code)))
    return stop('address', 'the request is refused: if objectLock is set, the bucket needs Object Lock');
  const { verdict } = statusVerdict({ ...answer, body: Buffer.from(code) }, { events: 0, bytes: 0, url, nowMs });
  // A part of a batch would be another object, and no event is the cause.
  return verdict.kind === 'reject' ? { kind: 'stop', reason: verdict.reason, detail: verdict.detail } : verdict;
}
