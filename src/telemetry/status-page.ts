import { createHash } from 'node:crypto';
import type { Sample } from './history.ts';
import type { Answer } from './http.ts';
import type { LastError, SinkStatus, Status } from './status.ts';
import { span } from './status-text.ts';

const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --ground: #fff; --card: #f6f8fa; --line: #d0d7de;
  --good: #116329; --bad: #b3261e; --warn: #8a5200; --plot: #0a58ca }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa4af; --ground: #0d1117; --card: #161b22;
  --line: #30363d; --good: #56d364; --bad: #ff8a80; --warn: #e3b341; --plot: #79b8ff } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 64rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--ground); overflow-wrap: anywhere }
h1 { font-size: 1.25rem; margin: 0 } h2 { font-size: 1.1rem; margin: 0 0 .5rem }
p { margin: .25rem 0 } header, section { margin-bottom: 1rem }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem }
.sinks { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)) }
.sinks section { margin: 0 }
.state { font-weight: 700; border: 1px solid; border-radius: 1rem; padding: 0 .6rem; font-size: .9rem; white-space: nowrap }
.good { color: var(--good) } .bad { color: var(--bad) } .warn { color: var(--warn) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .75rem; margin: 0 }
dt { color: var(--soft) } dd { margin: 0; font-variant-numeric: tabular-nums }
ul { margin: .5rem 0 0; padding-left: 1.25rem }
figure { margin: .75rem 0 0 } figcaption { color: var(--soft); font-size: .85rem }
svg { display: block; width: 100%; height: 3.5rem; border-bottom: 1px solid var(--line) }
polyline { fill: none; stroke: var(--plot); stroke-width: 2; vector-effect: non-scaling-stroke }
footer { color: var(--soft); font-size: .85rem }
`;

/** Allows this style sheet alone: no script, no image, no other request, no framing. */
const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The same limit as in the alert rules and the shipped Splunk search. */
const wrongClockSeconds = 60;

/** The status as a page that reloads itself. It is readable without colours, on a phone and by a screen reader. */
export function statusPage(status: Status, historyOf: (sink: string) => readonly Sample[]): Answer {
  const { ready, version, at, startedAt, sinks } = status;
  const up = span((Date.parse(at) - Date.parse(startedAt)) / 1000);
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="10">
<title>${ready ? 'Ready' : 'Not ready'}: qasphere-siem-forwarder</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>qasphere-siem-forwarder ${badge(ready ? 'good' : 'bad', ready ? 'ready' : 'not ready')}</h1>
${reasons(status)}
</header>
<main>
${source(status)}
<div class="sinks">
${sinks.map((sink) => sinkCard(sink, historyOf(sink.name))).join('\n')}
</div>
</main>
<footer><p>Version ${html(version)}, up ${up}. As of <time datetime="${at}">${at.slice(0, 19).replace('T', ' ')} UTC</time>; reloads every 10 seconds.</p></footer>
</body>
</html>
`;
  return { status: 200, type: 'text/html; charset=utf-8', body, policy };
}

function reasons({ reasons }: Status): string {
  if (reasons.length === 0) return '';
  const items = reasons.map(
    ({ sink, detail, since }) =>
      `<li>${sink === undefined ? '' : `<strong>${html(sink)}</strong>: `}${html(detail)}, since ${moment(since)}</li>`,
  );
  return `<ul>${items.join('')}</ul>`;
}

function source({ source }: Status): string {
  const { key, lastPollAgeSeconds: age, clockDifferenceSeconds: clock, lastError } = source;
  const words = {
    accepted: ['good', 'key accepted'],
    refused: ['bad', 'key rejected'],
    unknown: ['warn', 'no answer yet'],
  };
  const clockIsWrong = key === 'accepted' && Math.abs(clock ?? 0) > wrongClockSeconds;
  const [tone = '', state = ''] =
    lastError?.kind === 'failing' ? ['bad', 'polls fail'] : clockIsWrong ? ['warn', 'local clock wrong'] : words[key];
  return `<section aria-labelledby="source">
<h2 id="source">QA Sphere ${badge(tone, state)}</h2>
<dl>
${entry('API key', key)}
${entry('Last good poll', age === undefined ? 'none yet' : `${span(age)} ago`)}
${clock === undefined ? '' : entry('Local clock', clockWords(clock))}
${lastError === undefined ? '' : entry('Last error', errorText(lastError))}
</dl>
</section>`;
}

function sinkCard(sink: SinkStatus, samples: readonly Sample[]): string {
  const { name, state, lastError } = sink;
  const id = `sink-${html(name)}`;
  const words = {
    ok: 'ok',
    failing: 'failing',
    parked: 'parked',
    failed: 'destination gone',
    paused: 'state not writable',
  };
  return `<section aria-labelledby="${id}">
<h2 id="${id}">${html(name)} ${badge(state === 'ok' ? 'good' : 'bad', words[state])}</h2>
<dl>
${entry('Lag', span(sink.lagSeconds))}
${entry('Rate', `${sink.perSecond} events per second`)}
${entry('Cursor', sink.cursor ?? 'none yet')}
${sink.last === undefined ? '' : entry('Last event', `${sink.last}${sink.lastEventAt === undefined ? '' : `, ${moment(sink.lastEventAt)}`}`)}
${entry('Last success', sink.lastSuccess === undefined ? 'none yet' : moment(sink.lastSuccess))}
${entry('Delivered', `${sink.delivered} since the start`)}
${sink.deadLettered === 0 ? '' : entry('Dead-lettered', String(sink.deadLettered))}
${lastError === undefined ? '' : entry('Last error', errorText(lastError))}
</dl>
${plot(
  'Lag',
  samples.map(({ ageSeconds, lagSeconds }) => [ageSeconds, lagSeconds]),
  span,
)}
${plot(
  'Events per second',
  samples.map(({ ageSeconds, perSecond }) => [ageSeconds, perSecond]),
  (value) => String(Math.round(value * 10) / 10),
)}
</section>`;
}

const entry = (term: string, text: string) => `<dt>${term}</dt><dd>${html(text)}</dd>`;
const badge = (tone: string, text: string) => `<span class="state ${tone}">${html(text)}</span>`;
const moment = (iso: string) => `${iso.slice(0, 19).replace('T', ' ')} UTC`;

const errorText = ({ seconds, reason, detail }: LastError) =>
  `for ${span(seconds)}${reason === undefined ? '' : `, ${reason}`}: ${detail}`;

function clockWords(difference: number): string {
  if (Math.abs(difference) < 5) return 'matches the server’s';
  return `${span(Math.abs(difference))} ${difference > 0 ? 'behind' : 'ahead of'} the server’s`;
}

/** Escapes text for an element or a quoted attribute. */
function html(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const plotWidth = 360;
const plotHeight = 60;
const hourSeconds = 3_600;

/** The last hour as a line, with its key figures as text. @param points oldest first */
function plot(
  title: string,
  points: readonly (readonly [ageSeconds: number, value: number])[],
  format: (value: number) => string,
): string {
  const values = points.map(([, value]) => value);
  const max = Math.max(0, ...values);
  const top = max === 0 ? 1 : max;
  const round = (value: number) => Math.round(value * 10) / 10;
  const x = (age: number) => round(plotWidth * (1 - age / hourSeconds));
  const y = (value: number) => round(plotHeight - 2 - (value / top) * (plotHeight - 4));
  const line = points.map(([age, value]) => `${x(age)},${y(value)}`).join(' ');
  const summary =
    points.length < 2 ? 'no data yet' : `now ${format(values.at(-1) ?? 0)}, at most ${format(max)} in the last hour`;
  return `<figure>
<svg viewBox="0 0 ${plotWidth} ${plotHeight}" preserveAspectRatio="none" role="img" aria-label="${title}: ${summary}"><polyline points="${line}"/></svg>
<figcaption>${title}: ${summary}</figcaption>
</figure>`;
}
