import { type Finding, ok, warning } from '../../lib/finding.ts';
import type { HttpAnswer } from '../../lib/http.ts';
import { httpDateMs } from '../../lib/http-answer.ts';

/** A difference that is warned about, milliseconds. */
const WARNING_MS = 5_000;

/**
 * Compares this machine's clock with the server's Date, which has whole seconds (RFC 9110 section 5.6.7): the server read its
 * clock between `sentMs` and `headersMs` after the request started at `startedAtMs`.
 */
export function clockFinding(answer: HttpAnswer, startedAtMs: number): Finding {
  const date = httpDateMs(answer.headers.date);
  if (date === undefined)
    return warning(
      'clock',
      'the server sends no Date header: the wait for late events is counted from when they are first seen',
    );
  // The server's clock minus ours is between the two.
  const least = date - (startedAtMs + answer.headersMs);
  const most = date + 999 - (startedAtMs + answer.sentMs);
  const off = least > 0 ? least : most < 0 ? -most : 0;
  if (off === 0) return ok('clock', 'agrees with the server’s Date header, which has whole seconds');
  const detail = `this machine is ${least > 0 ? 'behind' : 'ahead of'} the server by ${seconds(off)}`;
  if (off < WARNING_MS) return ok('clock', detail);
  return warning('clock', detail, 'set the clock (NTP); no event is lost, since the server’s clock is used for them');
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s or a little more`;
