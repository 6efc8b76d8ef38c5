import { isIP } from 'node:net';
import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import { type Finding, failed, ok, timed } from '../../lib/finding.ts';
import { proxyFor } from '../../lib/proxy.ts';
import { addressesOf, reachTcp } from '../../lib/reach.ts';

/** Longest wait for a connection, milliseconds. */
const connectMs = 10_000;

interface Host {
  readonly what: 'source' | 'proxy';
  readonly host: string;
  readonly port: number;
}

/** Resolves the host of the source, or of its proxy, and opens a TCP connection to it. */
export async function checkConnectivity(config: Config, env: Context['env'], signal: AbortSignal): Promise<Finding[]> {
  const { what, host, port } = firstHost(config, env);
  const hint = what === 'proxy' ? 'correct the proxy' : 'correct source.url';
  const findings: Finding[] = [];
  const address = await timed(async () => {
    const found = await addressesOf(host, signal);
    if ('kind' in found)
      return failed(`${what} address`, 'unreachable', found.detail, `${hint}, or this machine's DNS`);
    return ok(`${what} address`, `${host} is ${found.join(', ')}`);
  });
  if (isIP(host) === 0) findings.push(address);
  if (address.result === 'failed') return findings;
  const timeoutMs = Math.min(connectMs, config.source.timeout);
  const connection = await timed(async () => {
    const missed = await reachTcp({ host, port, timeoutMs }, signal);
    if (missed === undefined) return ok(`${what} connection`, `${host}:${port} accepts connections`);
    const remedy = `let this host through to ${host}:${port} (firewall, proxy), or ${hint}`;
    return failed(`${what} connection`, 'unreachable', missed.detail, remedy);
  });
  findings.push(connection);
  return findings;
}

/** Where connections to the source go first. */
function firstHost({ source }: Config, env: Context['env']): Host {
  const url = new URL(source.url);
  const proxy = proxyFor(url, source.proxy, env);
  return proxy === undefined ? hostOf('source', url) : hostOf('proxy', new URL(proxy));
}

function hostOf(what: Host['what'], { hostname, port, protocol }: URL): Host {
  const host = hostname.replace(/^\[|\]$/g, '');
  return { what, host, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
}
