import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { gunzipSync } from 'node:zlib';

export interface Heard {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** As it came. */
  readonly bytes: Buffer;
  /** Decompressed. */
  readonly text: string;
  /** The code of what went wrong, of the connection or of gzip; the other members hold what came until then. */
  readonly broke?: string;
}

export interface Page {
  readonly after: number;
  readonly count: number;
  readonly events: readonly { readonly id: number; readonly [key: string]: unknown }[];
}

export const demoKey = 'Bearer SIEM-LOG-ONLY-demo';
export const pagePath = '/api/public/v0/audit-logs';

/** One request on a connection of its own, every header in sight. Never rejects. */
export function ask(
  url: string,
  headers: Record<string, string> = { authorization: demoKey },
  method = 'GET',
): Promise<Heard> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let answer: IncomingMessage | undefined;
    const settle = (broke?: unknown) => {
      const bytes = Buffer.concat(parts);
      const head = { status: answer?.statusCode ?? 0, headers: answer?.headers ?? {}, bytes };
      if (broke !== undefined) return resolve({ ...head, text: '', broke: codeOf(broke) });
      try {
        const zipped = head.headers['content-encoding'] === 'gzip';
        resolve({ ...head, text: (zipped ? gunzipSync(bytes) : bytes).toString('utf8') });
      } catch (error) {
        resolve({ ...head, text: '', broke: codeOf(error) });
      }
    };
    request(url, { agent: new Agent({ keepAlive: false }), headers, method }, (response) => {
      answer = response;
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', settle);
      response.on('end', () => settle());
    })
      .on('error', settle)
      .end();
  });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

/** The page after `after`, parsed. */
export async function page(url: string, query: string): Promise<Page> {
  const heard = await ask(`${url}${pagePath}?${query}`);
  return JSON.parse(heard.text) as Page;
}
