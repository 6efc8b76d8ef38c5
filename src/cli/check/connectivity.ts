import { isIP } from 'node:net';
import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import { type Finding, failed, ok, skipped, timed } from '../../lib/finding.ts';
import { addressesOf, reachTcp } from '../../lib/reach.ts';

/** Longest wait for a connection, milliseconds. */
const connectMs = 10_000;

interface Host {
  readonly what: 'source' | 'proxy';
  readonly host: string;
  readonly port: number;
}

/** The first steps towards the source: its name, or the proxy's, and a TCP connection there. */
export async function checkConnectivity(config: Config, env: Context['env'], stop: AbortSignal): Promise<Finding[]> {
  const to = firstHost(config, env);
  if (to === undefined)
    return [
      skipped('source connection', 'HTTPS_PROXY and NO_PROXY are set: which of them holds is seen by the answer'),
    ];
  const { what, host, port } = to;
  const hint = what === 'proxy' ? 'correct the proxy' : 'correct source.url';
  const findings: Finding[] = [];
  const address = await timed(async () => {
    const found = await addressesOf(host, stop);
    if ('kind' in found)
      return failed(`${what} address`, 'unreachable', found.detail, `${hint}, or see to this machine's DNS`);
    return ok(`${what} address`, `${host} is ${found.join(', ')}`);
  });
  if (isIP(host) === 0) findings.push(address);
  if (address.result === 'failed') return findings;
  const timeoutMs = Math.min(connectMs, config.source.timeout);
  const connection = await timed(async () => {
    const missed = await reachTcp({ host, port, timeoutMs }, stop);
    if (missed === undefined) return ok(`${what} connection`, `${host}:${port} takes connections`);
    const remedy = `let this host through to ${host}:${port} (firewall, proxy), or ${hint}`;
    return failed(`${what} connection`, 'unreachable', missed.detail, remedy);
  });
  findings.push(connection);
  return findings;
}

/** Where connections go first; undefined where that can't be told from here. */
function firstHost({ source }: Config, env: Context['env']): Host | undefined {
  const url = new URL(source.url);
  const either = (name: string) => env[name] || env[name.toLowerCase()] || undefined;
  const given = source.proxy?.reveal() ?? (url.protocol === 'https:' ? either('HTTPS_PROXY') : undefined);
  if (given === undefined) return hostOf('source', url);
  if (source.proxy === undefined && either('NO_PROXY') !== undefined) return undefined;
  const proxy = URL.parse(given);
  return proxy === null ? undefined : hostOf('proxy', proxy);
}

function hostOf(what: Host['what'], { hostname, port, protocol }: URL): Host {
  const host = hostname.replace(/^\[|\]$/g, '');
  return { what, host, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
}
