import { BlockList, isIP } from 'node:net';
import type { Secret } from './secret.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The URL of an HTTP proxy given as `http://host:port` or `host:port`, or what is wrong with it, without quoting it. */
export function parseProxy(text: string): { readonly url: string } | { readonly problem: string } {
  if (/^["']|["']$/.test(text)) return { problem: 'must not be in quotes: write http://host:port' };
  if (/^socks/i.test(text))
    return { problem: 'SOCKS proxies are not supported: write http://host:port of an HTTP proxy' };
  const hasScheme = text.includes('://');
  const url = URL.parse(hasScheme ? text : `http://${text}`);
  const isHttp = url !== null && ['http:', 'https:'].includes(url.protocol) && url.hostname !== '';
  if (!isHttp || (!hasScheme && !/:\d+\/?$/.test(text))) return { problem: 'write http://host:port' };
  if (!isPercentEncoded(url.username) || !isPercentEncoded(url.password))
    return { problem: 'a percent sign in the user name or password must be written as %25' };
  return { url: url.href };
}

/** Whether the text can be decoded for the Proxy-Authorization header. */
function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch (error) {
    if (error instanceof URIError) return false;
    throw error;
  }
}

/** The variable of this name, or the one in small letters if that is unset or empty. */
function variable(env: Environment, name: string): { readonly name: string; readonly text: string } | undefined {
  for (const spelling of [name, name.toLowerCase()]) {
    const text = env[spelling]?.trim() ?? '';
    if (text !== '') return { name: spelling, text };
  }
  return undefined;
}

export interface VariableProblem {
  readonly variable: string;
  readonly message: string;
}

/**
 * What is wrong with HTTPS_PROXY, if it has any effect: traffic that must use the proxy would go direct. Does not quote the
 * value, which may hold a password.
 */
export function httpsProxyProblem(env: Environment): VariableProblem | undefined {
  const proxy = variable(env, 'HTTPS_PROXY');
  if (proxy === undefined || entriesOf(variable(env, 'NO_PROXY')?.text ?? '').includes('*')) return undefined;
  const parsed = parseProxy(proxy.text);
  return 'problem' in parsed ? { variable: proxy.name, message: parsed.problem } : undefined;
}

/** The entries of NO_PROXY that can't be understood, if there is a proxy: they have no effect. */
export function noProxyProblems(env: Environment): VariableProblem[] {
  const exceptions = variable(env, 'NO_PROXY');
  if (exceptions === undefined || variable(env, 'HTTPS_PROXY') === undefined) return [];
  const unknown = entriesOf(exceptions.text).filter((entry) => parseException(entry) === undefined);
  const forms = 'write a domain, an IP address, a network such as 10.0.0.0/8, or *';
  return unknown.map((entry) => ({ variable: exceptions.name, message: `${entry} has no effect: ${forms}` }));
}

/**
 * The proxy for requests to `target`: the configured one, else for https HTTPS_PROXY unless NO_PROXY names the target.
 * Undefined: a direct connection.
 */
export function proxyFor(target: URL, configured: Secret | undefined, env: Environment = {}): string | undefined {
  const text = configured?.reveal() ?? (target.protocol === 'https:' ? variable(env, 'HTTPS_PROXY')?.text : undefined);
  if (text === undefined) return undefined;
  if (configured === undefined && isException(target, variable(env, 'NO_PROXY')?.text ?? '')) return undefined;
  const parsed = parseProxy(text);
  return 'url' in parsed ? parsed.url : undefined;
}

const entriesOf = (text: string) => text.split(/[\s,]+/).filter((entry) => entry !== '');

/**
 * Whether NO_PROXY names the target. Its entries, separated by commas or blanks, are read as curl and Go read them: a domain
 * names itself and its subdomains, with or without a leading dot; an address or a network names addresses as they are
 * written in the URL, no name is resolved; a port limits an entry to that port; `*` names everything.
 */
function isException(target: URL, text: string): boolean {
  const port = target.port === '' ? (target.protocol === 'https:' ? '443' : '80') : target.port;
  const host = bare(target.hostname);
  return entriesOf(text).some((entry) => {
    const exception = parseException(entry);
    return exception !== undefined && (exception.port ?? port) === port && exception.matches(host);
  });
}

interface Exception {
  readonly port: string | undefined;
  matches(host: string): boolean;
}

function parseException(entry: string): Exception | undefined {
  if (entry === '*') return { port: undefined, matches: () => true };
  const network = /^(.+)\/(\d{1,3})$/.exec(entry);
  if (network !== null) return parseNetwork(bare(network[1] ?? ''), Number(network[2]));
  const [, name = '', port] = isIP(entry) !== 0 ? ['', entry] : (/^(\[.*\]|[^:]*)(?::(\d{1,5}))?$/.exec(entry) ?? []);
  const host = bare(name).replace(/^\*?\./, '');
  if (isIP(host) !== 0) {
    const address = new BlockList();
    address.addAddress(host, family(host));
    return { port, matches: (other) => isIP(other) !== 0 && address.check(other, family(other)) };
  }
  if (!/^[\p{L}\p{N}_-]+(\.[\p{L}\p{N}_-]+)*$/u.test(host)) return undefined;
  return { port, matches: (other) => other === host || (isIP(other) === 0 && other.endsWith(`.${host}`)) };
}

function parseNetwork(address: string, prefix: number): Exception | undefined {
  if (isIP(address) === 0 || prefix > (isIP(address) === 4 ? 32 : 128)) return undefined;
  const network = new BlockList();
  network.addSubnet(address, prefix, family(address));
  return { port: undefined, matches: (host) => isIP(host) !== 0 && network.check(host, family(host)) };
}

const family = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** A host name for comparison: small letters, no brackets, no trailing dot. */
const bare = (host: string) =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
