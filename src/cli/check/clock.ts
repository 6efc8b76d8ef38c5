import { type Finding, ok, warning } from '../../lib/finding.ts';
import type { HttpAnswer } from '../../lib/http.ts';
import { httpDateMs } from '../../lib/http-answer.ts';

/** A difference that is told, milliseconds. */
const noticeableMs = 5_000;

/**
 * This machine's clock against the server's Date, which has whole seconds (RFC 9110 section 5.6.7): the server read its
 * clock between `sentMs` and `headersMs` after the request began at `startedAtMs`.
 */
export function judgeClock(answer: HttpAnswer, startedAtMs: number): Finding {
  const date = httpDateMs(answer.headers.date);
  if (date === undefined)
    return warning(
      'clock',
      'the server does not tell its time: how long to wait for late events is measured from their first sight',
    );
  // The server's clock less ours lies between the two.
  const least = date - (startedAtMs + answer.headersMs);
  const most = date + 999 - (startedAtMs + answer.sentMs);
  const off = least > 0 ? least : most < 0 ? -most : 0;
  if (off === 0) return ok('clock', 'agrees with the server’s, as far as its Date tells (to the second)');
  const said = `this machine is ${least > 0 ? 'behind' : 'ahead of'} the server by ${seconds(off)}`;
  if (off < noticeableMs) return ok('clock', said);
  return warning('clock', said, 'set the clock (NTP); nothing is lost by it, since events are judged by the server’s');
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s or a little more`;
