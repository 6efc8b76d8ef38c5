import { openSinkOf, type SinkConfig, shapeOf } from '../../app/build-pipeline.ts';
import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import { printable } from '../../lib/printable.ts';
import type { Verdict } from '../../lib/verdict.ts';
import type { Sink } from '../../sinks/sink.ts';
import type { TelemetryEvent } from '../../telemetry/telemetry-event.ts';
import { type Finding, failed, ok, timed, warning } from './finding.ts';
import { checkHealth } from './hec.ts';
import { checkCertificate } from './syslog.ts';
import { sendTestEvent } from './test-event.ts';

export interface SinkCheck {
  readonly config: Config;
  readonly ctx: Context;
  readonly stop: AbortSignal;
  /** Deliver one marked event. */
  readonly testEvent: boolean;
}

/** What the configuration warns about already, or another finding tells. */
const toldElsewhere = ['plain_http', 'insecure_tls', 'certificate'];

/** Everything between here and the destination of one sink; delivers nothing but the test event, where it is wanted. */
export async function checkSink(sink: SinkConfig, check: SinkCheck): Promise<Finding[]> {
  const { config, ctx, stop, testEvent } = check;
  const said: { readonly warn: boolean; readonly detail: string }[] = [];
  const emit = (happening: TelemetryEvent) => {
    if (happening.event !== 'sink.warning' && happening.event !== 'sink.info') return;
    if (toldElsewhere.includes(happening.topic)) return;
    said.push({ warn: happening.event === 'sink.warning', detail: printable(happening.detail, 500) });
  };
  const own: Context = { ...ctx, emit };
  const label = (what: string) => `${sink.name}: ${what}`;
  let opened: Sink;
  const shape = shapeOf(sink, config, own);
  try {
    opened = openSinkOf(sink, shape, config, own);
  } catch (error) {
    const detail = `can't be opened: ${printable((error as Error).message)}`;
    return [failed(label('options'), 'config', detail, 'correct the files of its tls block')];
  }
  await using _ = opened;
  const notes = () => said.filter(({ warn }) => !warn).map(({ detail }) => detail);
  const findings: Finding[] = [];
  if (sink.type === 'splunk-hec') {
    const health = await checkHealth(sink, ctx, label, stop);
    findings.push(...health.findings);
    if (!health.reached) return findings;
  }
  const what = { 'splunk-hec': 'token', syslog: 'connection', stdout: 'output' }[sink.type];
  findings.push(await timed(async () => judge(label(what), await opened.probe(stop), sink, ['accepts', ...notes()])));
  for (const { warn, detail } of said) if (warn) findings.push(warning(label('note'), detail));
  if (sink.type === 'syslog') findings.push(...(await checkCertificate(sink, ctx, label, stop)));
  if (!testEvent || findings.some(({ result }) => result === 'failed')) return findings;
  findings.push(
    await timed(async () => {
      const verdict = await sendTestEvent(opened, shape, ctx, stop);
      return verdict === 'unconfirmed'
        ? warning(label('test event'), 'sent and taken, but not confirmed yet', 'look for it on the other side')
        : judge(label('test event'), verdict, sink, ['has it']);
    }),
  );
  return findings;
}

function judge(check: string, verdict: Verdict, sink: SinkConfig, said: readonly string[]): Finding {
  if (verdict.kind === 'accepted') return ok(check, `${whereOf(sink)} ${said.join('; ')}`);
  return failed(check, 'unreachable', verdict.detail, remedies[verdict.reason](names[sink.type]));
}

function whereOf(sink: SinkConfig): string {
  if (sink.type === 'splunk-hec') return sink.url;
  return sink.type === 'syslog' ? sink.address : 'standard output';
}

/** What the options are called. */
const names = {
  'splunk-hec': { address: 'url', secret: 'token (or tokenFile), tls and proxy' },
  syslog: { address: 'address', secret: 'tls' },
  stdout: { address: 'where standard output leads', secret: 'rights' },
} as const;

type Names = (typeof names)[keyof typeof names];

const remedies: Readonly<Record<Exclude<Verdict, { kind: 'accepted' }>['reason'], (names: Names) => string>> = {
  network: ({ address }) =>
    `correct ${address}, or let this host through to it (firewall, proxy), or start what listens there`,
  timeout: ({ address }) => `see what answers at ${address} and which firewall lies between, or raise timeout`,
  throttled: () => 'it is busy: run check again in a while',
  server: () => 'look into its own log, and run check again in a while',
  auth: ({ secret }) => `correct ${secret} of this sink, or what the other side trusts, as said above`,
  address: ({ address }) => `correct ${address} of this sink, or what is said above`,
  malformed: ({ address }) => `see whether ${address} leads to what it should, and report it if it does`,
  too_large: () => 'lower batch.maxBytes or maxMessageBytes',
};
