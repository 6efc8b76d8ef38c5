import { encodingOptions, openSink } from '../../app/build-pipeline.ts';
import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import { type Finding, failed, ok, timed, warning } from '../../lib/finding.ts';
import { printable } from '../../lib/printable.ts';
import type { Reason, Verdict } from '../../lib/verdict.ts';
import type { CheckDeps, CheckTerms } from '../../sinks/definition.ts';
import { definitionOf, type SinkConfig } from '../../sinks/registry.ts';
import type { Sink } from '../../sinks/sink.ts';
import type { TelemetryEvent } from '../../telemetry/telemetry-event.ts';
import { sendTestEvent } from './test-event.ts';

export interface SinkCheck {
  readonly config: Config;
  readonly ctx: Context;
  readonly signal: AbortSignal;
  /** Deliver one marked event. */
  readonly testEvent: boolean;
}

/** Topics that the configuration's warnings or another finding report. */
const reportedElsewhere = ['certificate'];

/** Verifies everything between this host and the destination of one sink; delivers nothing but the test event. */
export async function checkSink(config: SinkConfig, check: SinkCheck): Promise<Finding[]> {
  const { ctx, signal, testEvent } = check;
  const definition = definitionOf(config);
  const destination = definition.destination(config);
  const notes: { readonly warn: boolean; readonly detail: string }[] = [];
  const emit = (event: TelemetryEvent) => {
    if (event.event !== 'sink.warning' && event.event !== 'sink.info') return;
    if (reportedElsewhere.includes(event.topic)) return;
    notes.push({ warn: event.event === 'sink.warning', detail: printable(event.detail, 500) });
  };
  const own: Context = { ...ctx, emit };
  const label = (what: string) => `${config.name}: ${what}`;
  const options = encodingOptions(config, check.config, own);
  let sink: Sink;
  try {
    sink = openSink(config, options, check.config, own);
  } catch (error) {
    const detail = `can't be opened: ${printable((error as Error).message)}`;
    return [failed(label('options'), 'config', detail, 'correct the files that its options name')];
  }
  await using _ = sink;
  const probe = () =>
    timed(async () => {
      const verdict = await sink.probe(signal);
      const infos = notes.filter(({ warn }) => !warn).map(({ detail }) => detail);
      const accepts = `${destination} ${['accepts', ...infos].join('; ')}`;
      return verdictFinding(label(definition.terms.probe), verdict, definition.terms, accepts);
    });
  const { version, env, now } = ctx;
  const deps: CheckDeps = { name: config.name, version, env, now, signal, label, probe };
  const findings: Finding[] = [];
  if (definition.check === undefined) findings.push(await probe());
  else for await (const finding of definition.check(config, deps)) findings.push(finding);
  for (const { warn, detail } of notes) if (warn) findings.push(warning(label('note'), detail));
  if (!testEvent || findings.some(({ result }) => result === 'failed')) return findings;
  const delivery = await timed(async () => {
    const check = label('test event');
    const verdict = await sendTestEvent(sink, options, ctx, signal);
    return verdict === 'unconfirmed'
      ? warning(check, 'sent, but not confirmed within 30 s', 'look for it at the destination')
      : verdictFinding(check, verdict, definition.terms, `delivered to ${destination}`);
  });
  return [...findings, delivery];
}

function verdictFinding(check: string, verdict: Verdict, terms: CheckTerms, success: string): Finding {
  if (verdict.kind === 'accepted') return ok(check, success);
  return failed(check, 'unreachable', verdict.detail, remedies[verdict.reason](terms));
}

const remedies: Readonly<Record<Reason, (terms: CheckTerms) => string>> = {
  network: ({ address }) =>
    `correct ${address}, or let this host through to it (firewall, proxy), or start what listens there`,
  timeout: ({ address }) => `check what answers at ${address} and which firewall lies between, or raise timeout`,
  throttled: () => 'it is busy: run check again later',
  server: () => 'look into its own log, and run check again',
  auth: ({ credentials }) => `check ${credentials}, and what the other side accepts (see above)`,
  address: ({ address }) => `correct ${address} in the entry of this sink (see above)`,
  malformed: ({ address }) => `check that ${address} is the right destination, and report it if it is`,
  too_large: () => 'lower batch.maxBytes or maxMessageBytes',
};
